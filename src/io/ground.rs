//! What every part of a turn stands on: the agent, the poll, the names, and how long it has been quiet.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry};

use super::tokens;
use crate::agent::Agent;
use crate::base::near::is_near;
use crate::os::resolve::{Addresses, Asker, NameRequest, Resolver};

/// Without traffic for this long, the memory of the last burst is given back.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// What to do when the gateway's name turns out to lie on the open network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenNetwork {
    /// Nothing: the way is encrypted, or it was judged before.
    Fine,
    /// Say once that everybody on the way can read along.
    Warn,
    /// Do not go there.
    Refuse,
}

/// See the module.
pub(super) struct Ground {
    pub(super) agent: Agent,
    pub(super) poll: Poll,
    pub(super) resolver: Resolver,
    open_network: OpenNetwork,
    last_traffic: Instant,
    has_released: bool,
}

impl Ground {
    pub(super) fn new(agent: Agent, open_network: OpenNetwork) -> io::Result<Self> {
        Ok(Self {
            agent,
            poll: Poll::new()?,
            resolver: Resolver::new(tokens::NAMES),
            open_network,
            last_traffic: Instant::now(),
            has_released: true,
        })
    }

    /// Where sources are registered.
    pub(super) fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// The addresses of `host`, if they are known already; else they are among the resolver's answers
    /// later on. Making room for the question may have ended another, so look for answers in any case.
    pub(super) fn look_up(
        &mut self,
        now: Instant,
        host: &str,
        asker: Asker,
        request: NameRequest,
    ) -> Option<Addresses> {
        self.resolver
            .submit(now, host, asker, request, self.poll.registry())
    }

    /// The same for the hosts of a service, which are always answered later.
    pub(super) fn look_up_service(
        &mut self,
        now: Instant,
        name: &str,
        asker: Asker,
        request: NameRequest,
    ) {
        self.resolver
            .submit_service(now, name, asker, request, self.poll.registry());
    }

    /// Why these addresses are not to be dialled, if what they are forbids it; what it makes
    /// dangerous is said once.
    pub(super) fn forbids(&mut self, addresses: &[SocketAddr]) -> Option<String> {
        let far = addresses.iter().find(|address| !is_near(address.ip()))?;
        match self.open_network {
            OpenNetwork::Fine => None,
            OpenNetwork::Refuse => {
                Some(format!("{far} is on the open network, and there is no TLS"))
            }
            OpenNetwork::Warn => {
                ::log::warn!(
                    "no TLS to {far}: the key and all sessions cross the network readable by \
                     anybody on the way; use a grpcs:// key"
                );
                self.open_network = OpenNetwork::Fine;
                None
            }
        }
    }

    /// Waits while leaving: for events or the end of `left`. `false` when waiting fails.
    pub(super) fn wait_at_most(&mut self, left: Duration, events: &mut Events) -> bool {
        match self.poll.poll(events, Some(left)) {
            Ok(()) => true,
            Err(error) => {
                // The events are those of the wait before.
                events.clear();
                error.kind() == io::ErrorKind::Interrupted
            }
        }
    }

    /// Bytes have moved.
    pub(super) fn saw_traffic(&mut self, now: Instant) {
        self.last_traffic = now;
        self.has_released = !self.agent.holds_burst_memory();
    }

    /// When [`Ground::release_when_idle`] wants to be called.
    pub(super) fn idle_at(&self) -> Option<Instant> {
        (!self.has_released).then(|| self.last_traffic + IDLE_AFTER)
    }

    /// Gives the memory of the last burst back when it has been quiet for long enough.
    pub(super) fn release_when_idle(&mut self, now: Instant) {
        if self.idle_at().is_some_and(|at| now >= at) {
            self.has_released = true;
            self.agent.release_idle();
        }
    }
}
