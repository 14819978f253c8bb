//! What one read of the link's socket brought: packets go to the sessions at once, the rest is gathered while
//! the link is borrowed.

use std::time::Instant;

use crate::base::wipe;
use crate::grpc::Status;
use crate::limits;
use crate::link::{Answer, Link, LinkError, LinkEvent, NoAnswer};
use crate::packet::{Kind, Outbox, spec};
use crate::session::Sessions;

/// See the module.
#[derive(Default)]
pub(super) struct News {
    pub(super) is_ready: bool,
    pub(super) packet_seen: bool,
    pub(super) flags_seen: bool,
    pub(super) answer: Option<Result<Answer, Status>>,
    pub(super) ended: Option<Status>,
    /// The link broke, which has a reason of its own.
    pub(super) is_broken: bool,
}

impl News {
    /// Of `size` bytes that lie in the link's buffer. What went wrong is the link's end.
    pub(super) fn read(
        now: Instant,
        size: usize,
        link: &mut Link,
        sessions: &mut Sessions,
        outbox: &mut Outbox,
    ) -> (Self, Result<(), LinkError>) {
        let mut news = Self::default();
        let takes_packets = takes_packets(link, outbox);
        // What opens a session has the connection's secrets in it, and would lie here until as much came again.
        let (mut opens, mut has_opened) = (false, false);
        let result = link.received(now, size, takes_packets, &mut |event| {
            match event {
                LinkEvent::Packet(packet) => {
                    news.packet_seen = true;
                    opens = packet.kind == Some(Kind::AgentSessionOpen);
                    has_opened |= opens;
                    if log::log_enabled!(log::Level::Trace) {
                        packet.trace("from");
                    }
                    match packet.kind {
                        Some(Kind::AgentGatewayConnectOK) => {}
                        Some(Kind::GatewayFeatureFlagUpdate) => {
                            news.flags_seen = true;
                            let flags = packet.spec(spec::FEATURE_FLAGS);
                            sessions.note_features(flags.unwrap_or_default());
                        }
                        _ => sessions.handle_packet(now, &packet, outbox),
                    }
                }
                LinkEvent::Buffer(buffer, payload) => {
                    sessions.keep_payload(now, buffer, payload, outbox);
                    if opens {
                        wipe(buffer);
                    }
                }
                LinkEvent::Oversized(packet, len) => {
                    sessions.handle_oversized(now, &packet, len, outbox)
                }
                LinkEvent::Ready => news.is_ready = true,
                LinkEvent::StreamEnded(status) => news.ended = Some(status),
                LinkEvent::Answered(answer) => {
                    news.answer = Some(answer.map_err(NoAnswer::into_status));
                }
                LinkEvent::GoAway(code, debug) => {
                    log::info!(
                        "the gateway, or a proxy in front of it, says goodbye ({code}, {}): sessions go on, and \
                         without any the link is made anew; the key is checked over a second connection",
                        debug.escape_ascii()
                    );
                }
            }
            outbox.len() < limits::OUTBOX_BYTES_MAX
        });
        if has_opened {
            link.wipe_read();
        }
        news.is_broken = result.is_err();
        (news, result)
    }
}

/// There is room for what packets make us say. Once some had to wait, there has to be plenty.
pub(super) fn takes_packets(link: &Link, outbox: &Outbox) -> bool {
    let most = match link.holds_packets() {
        true => limits::OUTBOX_BYTES_MAX / 2,
        false => limits::OUTBOX_BYTES_MAX,
    };
    outbox.len() < most
}
