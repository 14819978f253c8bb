//! Amazon's side of a database's login by token: made anew from what the token says of itself, and compared. Its own
//! code, so that a mistake of the agent's cannot hide here.

use ring::digest::{SHA256, digest};
use ring::hmac;

/// Whose tokens are taken, and for what.
#[derive(Clone, Debug)]
pub struct LoginToken {
    /// `host:port` of the database.
    pub place: String,
    /// The database's user.
    pub user: &'static str,
    /// Where it is.
    pub region: &'static str,
    /// The id of the key, and the key.
    pub key: (&'static str, &'static str),
}

impl LoginToken {
    /// The token is one of this key's for this user, place and region.
    pub fn is_made(&self, token: &str) -> bool {
        let Some(query) = token
            .strip_prefix(&self.place)
            .and_then(|rest| rest.strip_prefix('?'))
        else {
            return false;
        };
        let of = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value)
        };
        let (id, secret) = self.key;
        let (Some(time), Some(signature)) = (of("X-Amz-Date"), of("X-Amz-Signature")) else {
            return false;
        };
        let Some((day, _)) = time.split_once('T') else {
            return false;
        };
        let scope = format!("{day}/{}/rds-db/aws4_request", self.region);
        let credential = format!("{id}/{scope}").replace('/', "%2F");
        let is_right = of("Action") == Some("connect")
            && of("DBUser") == Some(self.user)
            && of("X-Amz-Algorithm") == Some("AWS4-HMAC-SHA256")
            && of("X-Amz-Credential") == Some(&credential[..])
            && of("X-Amz-Expires") == Some("900")
            && of("X-Amz-SignedHeaders") == Some("host");
        let mut pairs: Vec<&str> = query.split('&').collect();
        pairs.retain(|pair| !pair.starts_with("X-Amz-Signature="));
        pairs.sort_unstable();
        let canonical = format!(
            "GET\n/\n{}\nhost:{}\n\nhost\n{}",
            pairs.join("&"),
            self.place,
            hex(digest(&SHA256, b"").as_ref())
        );
        let canonical = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{canonical}");
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [day, self.region, "rds-db", "aws4_request"] {
            key = signed(&key, part);
        }
        is_right && hex(&signed(&key, &text)) == signature
    }
}

fn signed(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_the_documentation_is_one_and_no_other() {
        // Of tests/vectors/sigv4-vectors.json: made by botocore and by Go's SDK alike.
        let token = LoginToken {
            place: "db.cxyz.us-west-2.rds.amazonaws.com:5432".to_owned(),
            user: "app",
            region: "us-west-2",
            key: ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
        };
        assert!(token.is_made(MADE));
        for (from, to) in [
            ("DBUser=app", "DBUser=root"),
            (":5432", ":5433"),
            ("Expires=900", "Expires=9000"),
            ("T180456Z", "T180457Z"),
        ] {
            assert!(!token.is_made(&MADE.replace(from, to)), "{to}");
        }
    }

    const MADE: &str = "db.cxyz.us-west-2.rds.amazonaws.com:5432?Action=connect&DBUser=app&X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=AKIDEXAMPLE%2F20261128%2Fus-west-2%2Frds-db%2Faws4_request&X-Amz-Date=20261128T180456Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
        &X-Amz-Signature=cf63dde9065abf1392cd5c47be052adbbd6d8e23806cfe168045a270227d91ac";
}
