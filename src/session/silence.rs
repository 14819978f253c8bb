//! A target that has vanished while bytes were under way to it.
//!
//! The kernel's keep-alive finds out about silent connections only; where bytes wait for their
//! acknowledgement it repeats them for a quarter of an hour. So the reactor is asked for what the kernel
//! knows. One that acknowledges but takes nothing is alive, for as long as it likes.

use std::time::{Duration, Instant};

use super::output::Output;
use super::report::Peer;
use super::sessions::Sessions;
use super::target::{Kind, Phase, TargetId};
use crate::base::plain::Word;
use crate::packet::Outbox;

/// Looks in the time after which a silent target has vanished: as many as probes and the first wait.
const LOOKS: u32 = 10;

impl Sessions {
    /// Bytes have left for a target, so it must acknowledge them in time.
    pub(super) fn watch_peer(&mut self, now: Instant, id: TargetId) {
        let is_unwatched = self.target(id).is_some_and(|target| {
            let is_tcp = matches!(target.kind, Kind::Tcp(_));
            is_tcp && target.phase == Phase::Streaming && target.timer.is_none()
        });
        if is_unwatched {
            self.arm(id, now + self.settings.silence_max / LOOKS);
        }
    }

    pub(super) fn look_at_peer(&mut self, id: TargetId) {
        self.outputs.push_back(Output::AskPeer { target: id });
    }

    /// The answer to [`Output::AskPeer`].
    pub(super) fn peer_seen(
        &mut self,
        now: Instant,
        id: TargetId,
        peer: Peer,
        outbox: &mut Outbox,
    ) {
        let silence_max = self.settings.silence_max;
        let Some(target) = self.target_mut(id) else {
            return;
        };
        if target.phase != Phase::Streaming {
            return;
        }
        let Peer::Silent(lasts) = peer else {
            target.silent_since = None;
            if peer == Peer::Answers {
                self.watch_peer(now, id);
            }
            return;
        };
        // Two looks: a probe that was sent a moment ago is unanswered, too.
        let since = *target.silent_since.get_or_insert(now);
        let looked_for = now.saturating_duration_since(since);
        if lasts < looked_for {
            target.silent_since = Some(now);
        } else if lasts >= silence_max && !looked_for.is_zero() {
            return self.vanished(now, id, lasts, outbox);
        }
        self.watch_peer(now, id);
    }

    fn vanished(&mut self, now: Instant, id: TargetId, lasts: Duration, outbox: &mut Outbox) {
        self.counters.vanished += 1;
        if let Some((session, _)) = self.relaying(id) {
            log::warn!(
                "sid={} relay closed: its target has acknowledged nothing for {} s; it was switched \
                 off, or a firewall on the way has forgotten the connection",
                Word(&session.id),
                lasts.as_secs()
            );
        }
        self.target_broke(now, id, outbox);
    }
}
