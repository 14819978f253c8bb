//! An errand to a server: a query is cancelled, as its own connection would ask for it. Nobody hears how it
//! went; the server closes the connection when it is done.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use super::means::Means;
use super::report::Unreached;
use super::seam::{Farewell, Machine, Next, Sides, Why};
use super::wire::{Wire, Words};
use crate::base::ByteBuf;
use crate::limits;
use crate::login::postgres::Cancel;
use crate::login::{CancelKey, Step, TlsWish};
use crate::tls::Client;

/// See the module.
pub struct Errand {
    /// None once there is nothing more to say.
    cancel: Option<Cancel>,
    client: Option<Client>,
    wire: Wire,
    from_server: ByteBuf,
    /// Whoever sent it can see that it is under way.
    _mark: Rc<()>,
}

impl Errand {
    /// Cancels what `key` stands for, over TLS where `secured` says how.
    pub fn new(key: CancelKey, secured: Option<(TlsWish, Client)>, mark: Rc<()>) -> Self {
        let (wish, client) = secured.unzip();
        Self {
            cancel: Some(Cancel::new(key, wish)),
            client,
            wire: Wire::default(),
            from_server: ByteBuf::new(),
            _mark: mark,
        }
    }

    fn step(&mut self, sides: &mut Sides<'_>) -> Next {
        let Some(cancel) = self.cancel.take() else {
            return Next::Go;
        };
        let mut words = Words::new(&mut self.wire, &mut sides.means.scratch);
        let step = cancel.step(&mut self.from_server, &mut words);
        self.follow(step, sides)
    }

    fn follow(&mut self, step: Step<Cancel>, sides: &mut Sides<'_>) -> Next {
        sides.deliver();
        match (step, self.client.take()) {
            (Step::Wait(cancel), client) => {
                (self.cancel, self.client) = (Some(cancel), client);
                Next::Go
            }
            (Step::StartTls(cancel, _), Some(client)) => {
                self.cancel = Some(cancel);
                let started = self.wire.start(client, &mut sides.means.scratch);
                sides.deliver();
                match started {
                    Ok(()) => Next::Go,
                    Err(_) => Next::Close(Farewell::Silent),
                }
            }
            _ => Next::Close(Farewell::Silent),
        }
    }
}

impl Machine for Errand {
    fn client_sent(&mut self, _: &mut Sides<'_>, _: &[u8]) -> Next {
        Next::Go
    }

    fn dialled(&mut self, sides: &mut Sides<'_>) -> Next {
        self.step(sides)
    }

    fn started(&mut self, _: &mut Sides<'_>, _: Option<SocketAddr>) -> Next {
        Next::Go
    }

    fn failed(&mut self, _: &mut Sides<'_>, _: Unreached<'_>) -> Next {
        Next::Close(Farewell::Silent)
    }

    fn wants_slot(&self) -> bool {
        true
    }

    fn slot<'a>(&'a mut self, means: &'a mut Means, size_max: usize) -> &'a mut [u8] {
        let size = size_max.min(limits::LOGIN_READ_BYTES);
        match self.wire.is_secure() {
            true => self.wire.slot(size, &mut means.scratch),
            false => self.from_server.slot(size, limits::LOGIN_READ_BYTES),
        }
    }

    fn target_sent(&mut self, sides: &mut Sides<'_>, size: usize) -> Next {
        if !self.wire.is_secure() {
            self.from_server.advance(size);
            return self.step(sides);
        }
        let was_open = self.wire.is_open();
        let outcome = self
            .wire
            .receive(size, &mut sides.means.scratch, &mut |_| {});
        sides.deliver();
        if outcome.is_err() {
            return Next::Close(Farewell::Silent);
        }
        match self.cancel.take() {
            Some(cancel) if self.wire.is_open() && !was_open => {
                let mut words = Words::new(&mut self.wire, &mut sides.means.scratch);
                let step = cancel.tls_started(&mut words);
                self.follow(step, sides)
            }
            cancel => {
                self.cancel = cancel;
                Next::Go
            }
        }
    }

    fn target_ended(&mut self, _: &mut Sides<'_>) -> Next {
        Next::Close(Farewell::Silent)
    }

    fn client_left(&mut self, _: &mut Sides<'_>) -> Next {
        Next::Go
    }

    fn refuse(&mut self, _: &mut Sides<'_>, _: Why) -> Next {
        Next::Close(Farewell::Ended)
    }

    fn overdue(&mut self, _: &mut Sides<'_>) -> Next {
        Next::Go
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn needs_room(&self) -> bool {
        false
    }
}
