//! What is known about a session: everything that came with its opening.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use super::account;
use super::command;
use super::environment::Environment;
use super::error::SessionError;
use super::heap;
use super::means::Means;
use super::output::Where;
use super::place;
use super::protocol::{Dialect, Protocol};
use super::seam::Machine;
use super::shares::{Shares, Table, UserKey};
use super::web;
use crate::base::plain::{Word, cut};
use crate::limits;
use crate::login::Refusal;
use crate::login::mongo::Found;
use crate::packet::{Kind, Outbox, spec};
use crate::tls::OwnTickets;
use crate::web::View;

/// What is known about a session. Nothing of it changes but what it holds, and what a terminal adds.
pub(super) struct About {
    pub(super) id: Box<str>,
    /// Who has it, and all that it takes.
    pub(super) user: UserKey,
    pub(super) connection_type: String,
    pub(super) request_port: Vec<u8>,
    pub(super) protocol: &'static Protocol,
    pub(super) command: Vec<Vec<u8>>,
    pub(super) client_args: Vec<Vec<u8>>,
    pub(super) environment: Environment,
    /// What all the above, and the ids of closed connections, take of the heap.
    pub(super) held: usize,
    /// Of it, what its variables take until they are finished.
    pub(super) pending_bytes: usize,
    /// Where its target is; none where it has no address. Stands once it is [`About::prepare`]d.
    pub(super) place: Option<Where>,
    /// The web service of its connection.
    pub(super) service: Option<Rc<web::Service>>,
    /// Its machines' warning was given.
    pub(super) is_warned: Cell<bool>,
    /// Of TLS with its server.
    pub(super) tickets: Rc<RefCell<OwnTickets>>,
    /// Which of several servers its last connection was let in by.
    pub(super) found: Found,
}

impl About {
    /// Has these variables in the place of the ones so far, if there is room for them.
    pub(super) fn replace_environment(
        &mut self,
        environment: Environment,
        shares: &mut Shares,
    ) -> Result<(), SessionError> {
        let held = self.held - self.pending_bytes + environment.heap_bytes();
        shares.give(self.user, Table::Bytes, self.held);
        // Who finds no room has nothing to give back.
        (self.held, self.pending_bytes) = (0, 0);
        shares.take(self.user, Table::Bytes, held)?;
        self.held = held;
        self.environment = environment;
        Ok(())
    }

    /// Gives back what the session took.
    pub(super) fn give_back(&self, shares: &mut Shares) {
        shares.give(self.user, Table::Bytes, self.held);
        shares.give(self.user, Table::Sessions, 1);
    }

    /// Where it leads has to answer before the session opens.
    pub(super) fn is_probed(&self) -> bool {
        let address = self.protocol.address.as_ref();
        let own = self.environment.own();
        self.protocol.is_probed && address.is_some_and(|place| place::is_one(place, own))
    }

    /// Finds out where it leads, and that a machine can be made of its variables. What that takes is taken.
    pub(super) fn prepare(
        &mut self,
        now: Instant,
        means: &mut Means,
        shares: &mut Shares,
    ) -> Result<(), SessionError> {
        let own = self.environment.own();
        match (self.protocol.dialect, &self.protocol.address) {
            (Some(dialect), _) if dialect.is_web() => {
                let service = {
                    let mint = self.environment.mint();
                    web::Service::of(dialect, (own, mint), &self.tickets, (now, means))?
                };
                self.place = Some(service.place());
                let held = service.heap_bytes();
                self.service = Some(Rc::new(service));
                shares.take(self.user, Table::Bytes, held)?;
                self.held += held;
            }
            (dialect, address) => {
                let find = |place| place::find(place, own, &self.connection_type);
                self.place = address.as_ref().map(find).transpose()?;
                if let Some(dialect) = dialect {
                    self.log_in(dialect, means)?;
                    self.warn_of_line_end();
                }
            }
        }
        if let Some(Where::Name { host, .. }) = &self.place {
            let held = heap::block(host.len());
            shares.take(self.user, Table::Bytes, held)?;
            self.held += held;
        }
        Ok(())
    }

    fn warn_of_line_end(&self) {
        if self.environment.own().text("PASS").ends_with('\n') {
            log::warn!(
                "sid={} PASS of the connection ends in a line end, which counts: if logins fail, store it without",
                Word(&self.id)
            );
        }
    }

    /// What stands between a new client and its target.
    pub(super) fn machine(
        &self,
        dialect: Dialect,
        view: Option<View>,
        now: Instant,
        means: &mut Means,
    ) -> Result<Box<dyn Machine>, Refusal> {
        if let (Some(view), Some(service)) = (view, &self.service) {
            service.check(means)?;
            let web = web::Web::new(service.clone(), view, (now, means));
            return Ok(Box::new(web));
        }
        self.log_in(dialect, means)
    }

    /// The machine of a database's connection.
    fn log_in(&self, dialect: Dialect, means: &mut Means) -> Result<Box<dyn Machine>, Refusal> {
        let port = match &self.place {
            Some(Where::Name { port, .. }) => *port,
            _ => 0,
        };
        let kept = (&self.tickets, &self.found);
        account::machine((dialect, port), &self.environment, kept, means)
    }

    /// Packets of this kind bring something for it.
    pub(super) fn takes(&self, kind: Kind) -> bool {
        self.protocol.from_client.contains(&kind)
    }

    /// The first packet of the session.
    pub(super) fn tell_open(&self, outbox: &mut Outbox) {
        let shown = command::display(&self.command, &self.client_args);
        let connection_type = self.connection_type.as_bytes();
        let connection_type = cut(connection_type, limits::TYPE_ECHO_BYTES_MAX);
        let entries = [
            (spec::SESSION_ID, self.id.as_bytes()),
            (spec::CONNECTION_TYPE, &connection_type[..]),
            (spec::REQUEST_PORT, port_echo(&self.request_port)),
            (spec::COMMAND, &shown[..]),
        ];
        outbox.push(Kind::ClientSessionOpenOK, &entries, b"");
    }
}

/// The port that the client asked for. What is none asks for nothing: the client then takes the usual one.
fn port_echo(port: &[u8]) -> &[u8] {
    let is_port = port.len() <= limits::PORT_ECHO_DIGITS_MAX && port.iter().all(u8::is_ascii_digit);
    if is_port { port } else { b"" }
}
