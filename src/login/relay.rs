//! What is known of a connection after its login: eyes on the last bytes each way, no frames.
//!
//! The bytes themselves are the owner's. It shows every piece on its way, and learns whether a query
//! runs (so that it is cancelled when its client vanishes), whether the client said goodbye (so that
//! the server's end needs no word), and where a piece for the client must be cut.

use crate::wire::sink::Packets;

/// hoop's client takes a packet of this size or more that starts with `K` for a backend's key.
const KEY_PACKET_BYTES: usize = 13;

/// Which backend a query runs on, and the secret that allows to cancel it.
#[derive(Clone, PartialEq, Eq)]
pub struct CancelKey {
    /// The backend's process id, by which its connection is found.
    pub pid: u32,
    /// What the server gave to this client alone.
    pub secret: Box<[u8]>,
}

/// A relay that a login came to.
pub struct Relay {
    dialect: Dialect,
    from_client: Eye,
    from_server: Eye,
    is_busy: bool,
    cancel_key: Option<CancelKey>,
    has_trusted_blindly: bool,
}

/// Whose bytes they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Postgres,
    Mysql,
    Mongo,
    Mssql,
}

/// The last six bytes of one direction.
#[derive(Default)]
struct Eye([u8; 6]);

impl Eye {
    fn see(&mut self, bytes: &[u8]) {
        let kept = 6_usize.saturating_sub(bytes.len());
        self.0.copy_within(6 - kept.., 0);
        let tail = bytes.len() - (6 - kept);
        self.0[kept..].copy_from_slice(&bytes[tail..]);
    }
}

impl Relay {
    pub(super) fn postgres() -> Self {
        Self::new(Dialect::Postgres)
    }

    pub(super) fn mysql() -> Self {
        Self::new(Dialect::Mysql)
    }

    pub(super) fn mongo() -> Self {
        Self::new(Dialect::Mongo)
    }

    pub(super) fn mssql() -> Self {
        Self::new(Dialect::Mssql)
    }

    fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            from_client: Eye::default(),
            from_server: Eye::default(),
            is_busy: false,
            cancel_key: None,
            has_trusted_blindly: false,
        }
    }

    /// The server's `bytes` go to the client, cut where that is needed.
    pub(super) fn pass(&mut self, bytes: &[u8], to_client: &mut dyn Packets) {
        let (first, rest) = bytes.split_at(self.server_sent(bytes).unwrap_or_default());
        for part in [first, rest] {
            if !part.is_empty() {
                to_client.packet(part);
            }
        }
    }

    pub(super) fn trusting_blindly(self, has_trusted_blindly: bool) -> Self {
        Self {
            has_trusted_blindly,
            ..self
        }
    }

    pub(super) fn keep_cancel_key(&mut self, key: CancelKey) {
        self.cancel_key = Some(key);
    }

    /// `bytes` go to the server.
    pub fn client_sent(&mut self, bytes: &[u8]) {
        self.from_client.see(bytes);
        self.is_busy |= self.dialect == Dialect::Postgres && !bytes.is_empty();
    }

    /// `payload` goes to the client. `Some`: so many of its bytes go first, in a packet of their own.
    pub fn server_sent(&mut self, payload: &[u8]) -> Option<usize> {
        self.from_server.see(payload);
        if self.dialect == Dialect::Postgres
            && matches!(self.from_server.0, [b'Z', 0, 0, 0, 5, b'I' | b'T' | b'E'])
        {
            self.is_busy = false;
        }
        self.cut(payload)
    }

    /// A later packet that looks like a backend's key would make hoop's client forget the true one,
    /// and with it whom a cancel request is for. A run of K's stays whole: then we are asked, and know.
    fn cut(&self, payload: &[u8]) -> Option<usize> {
        let is_key_like = self.dialect == Dialect::Postgres
            && payload.len() >= KEY_PACKET_BYTES
            && payload.first() == Some(&b'K');
        if !is_key_like {
            return None;
        }
        payload
            .iter()
            .take(KEY_PACKET_BYTES)
            .position(|byte| *byte != b'K')
    }

    /// The client has asked for something that the server may still be at; PostgreSQL's only, where
    /// a query is cancelled from outside.
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// The last that the client said was goodbye.
    pub fn said_goodbye(&self) -> bool {
        let goodbye = match self.dialect {
            Dialect::Postgres => [b'X', 0, 0, 0, 4],
            Dialect::Mysql => [1, 0, 0, 0, 1],
            // Their clients close without a word.
            Dialect::Mongo | Dialect::Mssql => return false,
        };
        self.from_client.0.ends_with(&goodbye)
    }

    /// The server got the password itself over TLS, and nobody had looked at its certificate: what to do about it.
    pub fn blind_trust(&self) -> Option<&'static str> {
        let advice = match self.dialect {
            Dialect::Mssql => UNVERIFIED_MSSQL,
            Dialect::Postgres | Dialect::Mysql | Dialect::Mongo => UNVERIFIED,
        };
        self.has_trusted_blindly.then_some(advice)
    }

    /// How its query is cancelled; `None` where the server gave no key.
    pub fn cancel_key(&self) -> Option<&CancelKey> {
        self.cancel_key.as_ref()
    }
}

const UNVERIFIED: &str = "the server got the password itself, over TLS whose certificate nobody has checked: \
     set SSLMODE=verify-full";
const UNVERIFIED_MSSQL: &str = "the server got the password itself, over TLS whose certificate nobody has checked: \
     set SSLROOTCERT of the connection, and INSECURE to false";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn busy_from_the_clients_bytes_to_the_servers_ready() {
        let mut relay = Relay::postgres();
        relay.server_sent(b"Z\0\0\0\x05I");
        assert!(!relay.is_busy());
        relay.client_sent(b"Q\0\0\0\x0dselect 1\0");
        relay.server_sent(b"T....Z\0\0\0\x05");
        assert!(relay.is_busy());
        relay.server_sent(b"T");
        assert!(!relay.is_busy());
        relay.client_sent(b"");
        assert!(!relay.is_busy() && !relay.said_goodbye());
        relay.client_sent(b"H\0\0\0\x04X\0\0");
        relay.client_sent(b"\0\x04");
        assert!(relay.is_busy() && relay.said_goodbye());
    }

    #[test]
    fn a_piece_that_looks_like_a_key_is_cut_before_its_first_other_byte() {
        let mut relay = Relay::postgres();
        assert_eq!(relay.server_sent(b"K123456789012"), Some(1));
        assert_eq!(relay.server_sent(b"KKKKKKKKKKKK1"), Some(12));
        assert_eq!(relay.server_sent(b"KKKKKKKKKKKKK1"), None);
        assert_eq!(relay.server_sent(b"K12345678901"), None);
        assert_eq!(relay.server_sent(b"D123456789012"), None);
    }

    proptest! {
        #[test]
        fn an_eye_sees_the_same_however_the_bytes_are_cut(
            bytes in proptest::collection::vec(any::<u8>(), 6..40), cut in 1usize..9,
        ) {
            let mut eye = Eye::default();
            bytes.chunks(cut).for_each(|piece| eye.see(piece));
            prop_assert_eq!(&eye.0[..], &bytes[bytes.len() - 6..]);
        }

        #[test]
        fn no_packet_starts_like_a_key_unless_it_is_a_run_of_them(
            bytes in proptest::collection::vec(prop_oneof![Just(b'K'), any::<u8>()], 0..40),
        ) {
            let looks = |packet: &[u8]| packet.len() >= 13 && packet[0] == b'K';
            let cut = Relay::postgres().server_sent(&bytes);
            let (first, rest) = bytes.split_at(cut.unwrap_or_default());
            prop_assert!(!looks(first) && cut != Some(0));
            prop_assert!(!looks(rest) || bytes.starts_with(&[b'K'; 13]));
        }
    }
}
