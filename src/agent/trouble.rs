//! Why there is no link, in sentences for an operator: what happened, and what to do about it.
//! To what it happened is put in front of them: see `Agent::link_lost`.

use crate::grpc::{Code, Status};
use crate::link::{Link, LinkError, proxy, proxy_advice};

/// The gateway's words for a key that another stream uses.
const ALREADY_CONNECTED: &str = "agent already connected";

/// The gateway lives, but has stopped to read packets.
pub const STUCK: &str = "the gateway answers but no longer reads what sessions send (a fault of \
                         its own), so they are ended and it is dialled anew";

/// A proxy takes one call a connection.
pub const ONE_CALL: &str = "a proxy in front of the gateway takes one call a connection, so the key is \
                            checked over a second one each time: allow two at least (nginx: \
                            http2_max_concurrent_streams)";

/// No address took the connection; `advice` is for an address of the gateway itself.
pub fn unreachable(reason: &str, advice: &str, is_proxy: bool) -> String {
    let advice = match is_proxy {
        true => proxy::UNREACHABLE_ADVICE,
        false => advice,
    };
    format!("{reason}: {advice}")
}

/// The connection ended without a word why.
pub fn broken(reason: &str, link: &Link) -> String {
    match link.is_greeted() {
        true => reason.to_owned(),
        false => format!(
            "{reason} before it had said anything: {}",
            port_advice(link)
        ),
    }
}

/// Who connects and hears nothing talks to the wrong port, or by the wrong scheme.
fn port_advice(link: &Link) -> &'static str {
    match link.is_encrypted() {
        false => {
            "use a key whose scheme is grpcs:// if the gateway has TLS, and check that this is its \
             gRPC port (8010 unless changed)"
        }
        true => {
            "use a key whose scheme is grpc:// if the gateway runs without TLS, and check that \
             this is its gRPC port (8010 unless changed) and that no firewall cuts TLS"
        }
    }
}

/// What came is not what a gateway says.
pub fn misunderstood(error: &LinkError, link: &Link) -> String {
    match error {
        LinkError::Http2(_) if !link.is_greeted() => {
            format!("{error}: check that this is the gateway's gRPC port (8010 unless changed)")
        }
        LinkError::Closed => broken(&error.to_string(), link),
        _ => error.to_string(),
    }
}

/// Nothing came in time; `link` is `None` while no address had taken the connection, of which `tried`
/// tells.
pub fn silent(link: Option<&Link>, tried: &str) -> String {
    match link {
        None => {
            let tried = match tried {
                "" => "",
                tried => &format!(" ({tried})"),
            };
            format!(
                "no answer in time{tried}: a firewall may drop the packets, or the network needs \
                 HTTPS_PROXY"
            )
        }
        Some(link) if link.is_greeted() => {
            "the gateway did not take the agent in time: look into the gateway's log".to_owned()
        }
        Some(link) => format!("nothing was said in time: {}", port_advice(link)),
    }
}

/// A proxy broke the stream off in the middle.
const RESET_BY_PROXY: &str = "stream reset with INTERNAL_ERROR";

/// The gateway ended the stream, or another call; `what` names it.
pub fn ended(what: &str, status: &Status) -> String {
    if let Some(http) = status.http {
        let advice = proxy_advice(http);
        return format!("something that is no gateway answered {what}: {status}: {advice}");
    }
    let advice = match status.code {
        Code::Internal if status.message == RESET_BY_PROXY => {
            ": a proxy on the way may limit the bytes or the time of a request (nginx: 1 MiB and 60 s \
             unless client_max_body_size 0 and long grpc_read_timeout and grpc_send_timeout are set)"
        }
        Code::FailedPrecondition if status.message == ALREADY_CONNECTED => {
            ": another agent has this key (stop it, or give this one a key of its own with \
             'hoop-lite admin create agent NAME'), or the gateway has not noticed yet that an \
             earlier connection is gone (it does within minutes)"
        }
        Code::Unimplemented => {
            ": check that this is the gateway's gRPC port (8010 unless changed), not its web page"
        }
        _ => "",
    };
    format!("the gateway ended {what}: {status}{advice}")
}

/// The gateway does not accept the key.
pub fn refused(status: &Status) -> String {
    format!(
        "the gateway refuses the key ({status}): it was deleted, replaced or mistyped; create a \
         new one with 'hoop-lite admin create agent NAME'"
    )
}
