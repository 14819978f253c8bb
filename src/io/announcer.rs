//! What the service manager is told: that we are ready, how the link is, that we live.

use std::time::Instant;

use crate::agent::{Agent, LinkState};
use crate::os::notify::Notify;

/// See the module.
pub(super) struct Announcer {
    notify: Notify,
    has_said_ready: bool,
    /// The state of the link that was told last.
    told: Option<LinkState>,
    watchdog_at: Option<Instant>,
}

impl Announcer {
    pub(super) fn new(notify: Notify) -> Self {
        let watchdog_at = notify.watchdog().map(|every| Instant::now() + every);
        Self {
            notify,
            has_said_ready: false,
            told: None,
            watchdog_at,
        }
    }

    /// When [`Announcer::keep_current`] wants to be called whatever happens.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.watchdog_at
    }

    /// Keeps the service manager's idea of us current. Who stops has said so.
    pub(super) fn keep_current(&mut self, now: Instant, agent: &Agent) {
        if !self.has_said_ready {
            self.has_said_ready = self.notify.send("READY=1");
        }
        let state = agent.link_state();
        if self.told != Some(state) && !agent.is_stopping() {
            let is_said = self.notify.send(match state {
                LinkState::Waiting => "STATUS=not connected, will try again",
                LinkState::Dialling => "STATUS=connecting",
                LinkState::Connecting => "STATUS=reached the gateway",
                LinkState::Idle => "STATUS=the gateway accepts the key, waiting for a session",
                LinkState::Live => "STATUS=connected",
            });
            self.told = is_said.then_some(state);
        }
        if let (Some(at), Some(every)) = (self.watchdog_at, self.notify.watchdog())
            && now >= at
        {
            self.notify.send("WATCHDOG=1");
            self.watchdog_at = Some(now + every);
        }
    }

    /// We were asked to stop.
    pub(super) fn say_stopping(&self) {
        self.notify.send("STOPPING=1");
    }
}
