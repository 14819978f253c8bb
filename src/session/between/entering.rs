//! The login of a client, driven to its end: a relay, a refusal or an errand.

use std::rc::Weak;

use super::stage::{Between, Entering, Stage};
use crate::limits;
use crate::login::{Cause, Exchange, Login, Refusal, Step, TlsForm, TlsWish, Waits};
use crate::session::means::{Means, Way};
use crate::session::output::Where;
use crate::session::seam::{Farewell, Machine, Next, Sides};
use crate::session::wire::{Wire, Words};
use crate::tls::{Progress, StreamError, Subject};

/// What is done with a login, once.
type Act<'a> = &'a dyn Fn(Login, &mut Exchange<'_>) -> Step<Login>;

impl Between {
    /// A client has connected, and is to be logged in to the server at the end of `way`.
    pub fn new(login: Login, way: Way) -> Self {
        let entering = Entering::new(way);
        Self {
            wire: Wire::default(),
            stage: Stage::Entering(login, Box::new(entering)),
            peer: None,
            secured: None,
            under_way: Weak::new(),
            due: None,
        }
    }

    /// Does `act` with the login, and all that follows from it at once.
    pub(super) fn drive(&mut self, sides: &mut Sides<'_>, act: Act<'_>) -> Next {
        let (login, mut entering) = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Entering(login, entering) => (login, entering),
            other => {
                self.stage = other;
                return Next::Go;
            }
        };
        let mut step = self.act(login, &mut entering, sides, act);
        loop {
            step = match step {
                Step::Wait(login) => return self.wait(login, entering, sides),
                Step::Dial(login, address) => {
                    let place = address.map(|address| entering.way.lead_to(address));
                    return self.dial(login, entering, place);
                }
                Step::LookUp(login, name) => {
                    entering.way.host.clone_from(&name);
                    return self.dial(login, entering, Some(Where::Service(name)));
                }
                Step::EndTls(login) => {
                    self.wire = Wire::default();
                    self.secured = None;
                    self.act(login, &mut entering, sides, &Login::step)
                }
                Step::StartTls(login, wish) => match self.secure(wish, &mut entering, sides) {
                    Ok(()) => Step::Wait(login),
                    Err(Trouble::Stuffed(refusal)) => {
                        login.refuse(&refusal, &mut sides.to_client);
                        Step::Refused(refusal)
                    }
                    Err(Trouble::Tls(reason)) => {
                        let failed = |login: Login, exchange: &mut Exchange<'_>| {
                            login.tls_failed(&reason, exchange)
                        };
                        self.act(login, &mut entering, sides, &failed)
                    }
                },
                Step::Passed(relay) => {
                    sides.warning = relay.blind_trust();
                    self.due = None;
                    self.stage = Stage::Relaying(relay);
                    return Next::Go;
                }
                Step::Errand(key) => return self.over(Next::Cancel(key)),
                Step::Refused(refusal) => {
                    self.close(sides);
                    return self.over(Next::Close(Farewell::Because(refusal.text)));
                }
                Step::Ended => {
                    self.close(sides);
                    return self.over(Next::Close(Farewell::Ended));
                }
            }
        }
    }

    /// A new connection, at `place` or at the connection's own.
    fn dial(&mut self, login: Login, mut entering: Box<Entering>, place: Option<Where>) -> Next {
        self.wire = Wire::default();
        self.secured = None;
        entering.begin_anew();
        self.stage = Stage::Entering(login, entering);
        Next::Dial(place)
    }

    /// Calls the login; what it says goes on its way.
    fn act(
        &mut self,
        login: Login,
        entering: &mut Entering,
        sides: &mut Sides<'_>,
        act: Act<'_>,
    ) -> Step<Login> {
        let Means { keys, scratch, .. } = &mut *sides.means;
        let mut words = Words::new(&mut self.wire, scratch);
        let step = act(
            login,
            &mut Exchange {
                from_client: sides.from_client,
                from_server: &mut entering.from_server,
                to_client: &mut sides.to_client,
                to_server: &mut words,
                keys,
            },
        );
        entering.sent += sides.means.scratch.outgoing().len();
        sides.deliver_secret();
        entering.said = match sides.has_room {
            true => 0,
            false => entering.said + sides.to_client.size(),
        };
        step
    }

    fn wait(&mut self, login: Login, mut entering: Box<Entering>, sides: &Sides<'_>) -> Next {
        let waits_for = login.waits_for();
        let left = entering.time_left(sides.now, waits_for);
        let lasts = match waits_for {
            Waits::Turn => login.rest(&sides.means.keys),
            Waits::Server => login.patience().min(left),
            Waits::Client => limits::LOGIN_CLIENT_TIMEOUT,
            Waits::Idle => {
                entering.rest();
                self.due = None;
                self.stage = Stage::Entering(login, entering);
                return Next::Go;
            }
        };
        // Whoever is waited for gets no more time for what the other says.
        if waits_for == Waits::Turn || entering.waits_for != Some(waits_for) {
            entering.waits_for = Some(waits_for);
            self.due = Some(sides.now + lasts);
        }
        self.stage = Stage::Entering(login, entering);
        Next::Go
    }

    fn secure(
        &mut self,
        wish: TlsWish,
        entering: &mut Entering,
        sides: &mut Sides<'_>,
    ) -> Result<(), Trouble> {
        // Whoever put them there wants them to be taken for bytes from within TLS.
        if !entering.from_server.is_empty() {
            return Err(Trouble::Stuffed(Refusal::new(Cause::Protocol, STUFFED)));
        }
        let client = sides.means.client(wish, &entering.way);
        let client = client.map_err(|error| Trouble::Tls(error.to_string()))?;
        let scratch = &mut sides.means.scratch;
        let started = match wish.form {
            TlsForm::Prelogin => self.wire.start_in_packets(client.clone(), scratch),
            TlsForm::Bare | TlsForm::Tds8 => self.wire.start(client.clone(), scratch),
        };
        sides.deliver();
        started.map_err(|error| Trouble::Tls(error.explain(entering.way.subject)))?;
        self.secured = Some((wish, client));
        entering.is_securing = true;
        Ok(())
    }

    /// Bytes of the server during a login.
    pub(super) fn enter(&mut self, sides: &mut Sides<'_>, size: usize) -> Next {
        let Stage::Entering(_, entering) = &mut self.stage else {
            return Next::Go;
        };
        // The server has spoken: its next word has its own time.
        entering.waits_for = entering.waits_for.filter(|it| *it != Waits::Server);
        if !self.wire.is_secure() {
            entering.from_server.advance(size);
            return self.drive(sides, &Login::step);
        }
        let from_server = &mut entering.from_server;
        let mut sink = |record: &[u8]| from_server.extend(record);
        let outcome = self.wire.receive(size, &mut sides.means.scratch, &mut sink);
        entering.sent += sides.means.scratch.outgoing().len();
        sides.deliver();
        let is_securing = entering.is_securing;
        let next = match &outcome {
            Err(error) if is_securing => {
                let reason = error.explain(entering.way.subject);
                self.drive(sides, &|login, exchange| {
                    login.tls_failed(&reason, exchange)
                })
            }
            Err(error) => {
                let text = ["TLS with the server broke: ", &explain(error)].concat();
                self.end(sides, Refusal::new(Cause::Unreachable, text))
            }
            Ok(_) if is_securing && self.wire.is_open() => {
                entering.is_securing = false;
                self.drive(sides, &Login::tls_started)
            }
            Ok(_) => self.drive(sides, &Login::step),
        };
        match (next, outcome) {
            (Next::Go, Ok(Progress::PeerClosed)) => self.target_ended(sides),
            (next, _) => next,
        }
    }

    /// There is a target, or none any more.
    pub(super) fn note_target(&mut self, is_there: bool) {
        if let Stage::Entering(_, entering) = &mut self.stage {
            entering.has_target = is_there;
        }
    }

    pub(super) fn over(&mut self, next: Next) -> Next {
        self.stage = Stage::Over;
        self.due = None;
        next
    }

    /// The last that the server hears.
    pub(super) fn close(&mut self, sides: &mut Sides<'_>) {
        if let Stage::Entering(login, entering) = &self.stage
            && entering.has_target
        {
            login.farewell(&mut Words::new(&mut self.wire, &mut sides.means.scratch));
        }
        self.wire.close(&mut sides.means.scratch);
        sides.deliver();
    }

    /// Tells the client of a login why it ends.
    fn tell(&mut self, sides: &mut Sides<'_>, refusal: &Refusal) {
        if let Stage::Entering(login, _) = &self.stage {
            login.refuse(refusal, &mut sides.to_client);
        }
    }

    /// The server can't be had, for this reason: another one may do.
    pub(super) fn lose(&mut self, sides: &mut Sides<'_>, refusal: Refusal) -> Next {
        match &self.stage {
            Stage::Entering(login, _) if login.goes_elsewhere() => self
                .drive(sides, &|login, exchange| {
                    login.try_elsewhere(&refusal, exchange)
                }),
            _ => self.end(sides, refusal),
        }
    }

    /// Ends as soon as the client listens.
    pub(super) fn end(&mut self, sides: &mut Sides<'_>, refusal: Refusal) -> Next {
        match self.end_later(sides, &refusal) {
            Some(next) => next,
            None => self.end_now(sides, refusal),
        }
    }

    /// `None`: it listens already.
    pub(super) fn end_later(&mut self, sides: &mut Sides<'_>, refusal: &Refusal) -> Option<Next> {
        let Stage::Entering(login, _) = &mut self.stage else {
            return None;
        };
        login
            .refuse_later(refusal)
            .then(|| self.drive(sides, &Login::step))
    }

    pub(super) fn end_now(&mut self, sides: &mut Sides<'_>, refusal: Refusal) -> Next {
        self.tell(sides, &refusal);
        self.close(sides);
        self.over(Next::Close(Farewell::Because(refusal.text)))
    }
}

pub(super) fn explain(error: &StreamError) -> String {
    error.explain(&Subject::DATABASE)
}

/// Why TLS does not begin.
enum Trouble {
    Stuffed(Refusal),
    Tls(String),
}

const STUFFED: &str = "the server sent bytes in plain text behind its agreement to TLS: somebody may be in \
     between";
