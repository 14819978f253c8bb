//! The connection beside the link: made for one key check that the link can't carry, and closed behind
//! its answer.

use std::rc::Rc;
use std::time::Instant;

use super::agenda::{Action, Agenda, Deadline};
use super::endpoint::{Endpoint, transport};
use crate::base::TimerId;
use crate::grpc::Status;
use crate::limits;
use crate::link::{AgentIdentity, Answer, Link, LinkEvent, NoAnswer};
use crate::packet::Outbox;

/// Credit of a connection that carries no stream of packets: the protocol's default.
const CREDIT: u32 = 65_535;

/// See the module.
pub(super) enum Second {
    /// There is none.
    None,
    /// It is being dialled, until the deadline.
    Dialling(Box<Endpoint>, TimerId),
    /// It carries its one call, or is about to.
    Connected(Box<Link>, TimerId),
}

/// What became of it.
pub(super) enum SecondNews {
    /// Nothing yet.
    None,
    /// The call was answered: it has served its purpose.
    Answered(Result<Answer, Status>),
    /// It is of no use, and why.
    Failed(String),
}

impl Second {
    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Asks for its socket.
    pub(super) fn dial(&mut self, now: Instant, endpoint: Endpoint, agenda: &mut Agenda) {
        agenda.push(Action::DialSecond {
            host: endpoint.host.clone(),
            port: endpoint.port,
        });
        let timer = agenda.arm(now + limits::KEY_CHECK_ANSWER_MAX, Deadline::Second);
        *self = Self::Dialling(Box::new(endpoint), timer);
    }

    /// The socket is connected. `identity` is that of the link that is asked about, whatever the key's
    /// file says by now.
    pub(super) fn connected(
        &mut self,
        now: Instant,
        identity: Rc<AgentIdentity>,
        agenda: &mut Agenda,
    ) -> SecondNews {
        let (endpoint, timer) = match std::mem::replace(self, Self::None) {
            Self::Dialling(endpoint, timer) => (*endpoint, timer),
            other => {
                *self = other;
                return SecondNews::None;
            }
        };
        match transport(endpoint.tls) {
            Ok(transport) => {
                let link = Link::new(now, transport, identity, endpoint.tunnel, CREDIT);
                *self = Self::Connected(Box::new(link), timer);
                self.received(now, 0)
            }
            Err(_) => {
                agenda.cancel(timer);
                agenda.push(Action::CloseSecond);
                SecondNews::Failed("TLS can't be begun".to_owned())
            }
        }
    }

    /// Where to read the socket into.
    pub(super) fn read_buffer(&mut self) -> Option<&mut [u8]> {
        match self {
            Self::Connected(link, _) => Some(link.read_buffer()),
            _ => None,
        }
    }

    /// `size` bytes were read into [`Second::read_buffer`].
    pub(super) fn received(&mut self, now: Instant, size: usize) -> SecondNews {
        let Self::Connected(link, _) = self else {
            return SecondNews::None;
        };
        let (mut is_ready, mut answer) = (false, None);
        let result = link.received(now, size, false, &mut |event| {
            match event {
                LinkEvent::Ready => is_ready = true,
                LinkEvent::Answered(outcome) => answer = Some(outcome),
                _ => {}
            }
            false
        });
        match (answer, result) {
            (Some(answer), _) => SecondNews::Answered(answer.map_err(NoAnswer::into_status)),
            (None, Err(error)) => SecondNews::Failed(error.to_string()),
            (None, Ok(())) if is_ready && link.ask().is_err() => {
                SecondNews::Failed("a second connection takes no call either".to_owned())
            }
            (None, Ok(())) => SecondNews::None,
        }
    }

    /// Encrypts what may leave, and lends the bytes for the socket.
    pub(super) fn encrypt(&mut self, now: Instant) -> &[u8] {
        match self {
            Self::Connected(link, _) => match link.transmit(now, &mut Outbox::new()) {
                Ok(()) => link.pending(),
                Err(_) => &[],
            },
            _ => &[],
        }
    }

    /// The socket took `size` of them.
    pub(super) fn sent(&mut self, now: Instant, size: usize) {
        if let Self::Connected(link, _) = self {
            link.sent(now, size, &Outbox::new());
        }
    }

    /// It is not needed any more.
    pub(super) fn close(&mut self, agenda: &mut Agenda) {
        match std::mem::replace(self, Self::None) {
            Self::None => {}
            Self::Dialling(_, timer) | Self::Connected(_, timer) => {
                agenda.cancel(timer);
                agenda.push(Action::CloseSecond);
            }
        }
    }
}
