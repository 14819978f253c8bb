//! Between a user and a web service: an exchange (`web/`), and TLS where the service has it.
//!
//! Promises: a service hears whole requests alone, its bytes are read into memory that all connections share,
//! and what all exchanges hold back for a length has one budget. By the listener, a connection to a service that
//! no doubt is left of waits for the next request of its session. Leaves to its owner: descriptors, the headers
//! of packets, whose turn it is.

mod service;

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

pub(super) use self::service::{Service, Share};
use super::means::Means;
use super::report::Unreached;
use super::seam::{Farewell, Machine, Next, Sides, Why};
use super::wire::{SEAL_BYTES, Scratch, Wire};
use crate::base::ByteBuf;
use crate::limits;
use crate::tls::{Progress, StreamError, Subject};
use crate::web::{Current, Exchange, Failure, Fault, Outlet, Producer, Step, View, Wires};
use crate::wire::sink::Sink;

/// See the module.
pub(super) struct Web {
    service: Rc<Service>,
    exchange: Exchange,
    wire: Wire,
    is_securing: bool,
    /// What the service has said and nobody has used.
    unread: ByteBuf,
    /// The size that the link wishes packets to have.
    packet_bytes: usize,
    /// What it holds back has a budget of its own, beside that of all queues.
    held: Share,
    /// Of all connections that are kept, and of the session's.
    kept: [Share; 2],
    /// The exchange is over, and the connection to the service waits for another one until then.
    kept_until: Option<Instant>,
    /// A connection that was dead is not to be replaced by another such one.
    wants_fresh: bool,
    /// The wire is one that was kept.
    is_used: bool,
}

/// The way to a service. Only ciphertext lies in the scratch.
struct ToService<'a> {
    wire: &'a mut Wire,
    scratch: &'a mut Scratch,
    to_target: &'a mut dyn Sink,
}

impl Sink for ToService<'_> {
    fn put(&mut self, bytes: &[u8]) {
        if !self.wire.is_secure() {
            return self.to_target.put(bytes);
        }
        for piece in bytes.chunks(SEAL_BYTES) {
            // A wire that takes no words any more says so at the next record.
            let _ = self.wire.send(piece, self.scratch);
            self.to_target.put(self.scratch.outgoing());
            self.scratch.clear();
        }
    }
}

/// Of whom sentences about TLS speak.
const SERVICE: Subject = Subject {
    side: "the web service",
    authority: "INSECURE=true of the connection, or the authorities of the agent's host",
    name: "REMOTE_URL",
    without_tls: "its URL has to begin with http:// if it has no TLS",
    wants_certificate: "which this agent does not give",
    no_protocol: "the service speaks TLS but not HTTP/1.1",
    otherwise: "",
};

impl Web {
    /// A user's first packet has come with this view.
    pub(super) fn new(service: Rc<Service>, view: View, (now, means): (Instant, &Means)) -> Self {
        let kept = [means.web_kept.clone(), service.kept.clone()].map(Share::new);
        Self {
            service,
            exchange: Exchange::new(view, now),
            wire: Wire::default(),
            is_securing: false,
            unread: ByteBuf::new(),
            packet_bytes: limits::PAYLOAD_BYTES_MIN,
            held: Share::new(means.web_held.clone()),
            kept,
            kept_until: None,
            wants_fresh: false,
            is_used: false,
        }
    }

    /// Steps once, with what the service has said since.
    fn drive(&mut self, sides: &mut Sides<'_>, from_service: &mut ByteBuf) -> Next {
        let account = self.service.account(sides.now, sides.means);
        let step = {
            let current = Current {
                features: sides.means.features,
                pods_token: account.as_ref().and_then(|account| account.token()),
            };
            let mut to_service = ToService {
                wire: &mut self.wire,
                scratch: &mut sides.means.scratch,
                to_target: sides.to_target,
            };
            self.exchange.step(&mut Wires {
                site: &self.service.site,
                current,
                from_client: sides.from_client,
                from_remote: from_service,
                to_remote: &mut to_service,
                outlet: Outlet {
                    packets: &mut sides.to_client,
                    packet_bytes: self.packet_bytes,
                    may_hold: self.held.is_below(limits::WEB_HELD_BYTES_MAX),
                    now: sides.now,
                },
            })
        };
        self.held.set(self.exchange.held_bytes());
        match step {
            Step::Wait => Next::Go,
            Step::Dial { is_fresh } => {
                self.wants_fresh = is_fresh;
                self.wire = Wire::default();
                from_service.clear();
                Next::Dial(None)
            }
            Step::HangUp => {
                self.close(sides);
                from_service.clear();
                Next::HangUp
            }
            Step::Finished {
                is_told: false,
                is_kept: true,
            } if self.may_keep() => {
                self.set_kept(1);
                self.kept_until = Some(sides.now + limits::WEB_KEPT_MAX);
                Next::Go
            }
            Step::Finished { is_told, .. } => {
                self.close(sides);
                Next::Close(match is_told {
                    true => Farewell::Ended,
                    false => Farewell::Answered,
                })
            }
        }
    }

    fn may_keep(&self) -> bool {
        let [all, session] = &self.kept;
        all.is_below(limits::WEB_KEPT_COUNT_MAX)
            && session.is_below(limits::WEB_KEPT_BY_SESSION_MAX)
    }

    fn set_kept(&mut self, own: usize) {
        self.kept.iter_mut().for_each(|share| share.set(own));
    }

    /// Nobody waits for what the service has to say: its connection is over.
    fn drop_kept(&mut self, sides: &mut Sides<'_>) -> Next {
        self.set_kept(0);
        self.close(sides);
        Next::Close(Farewell::Answered)
    }

    /// Steps with what lies unread.
    fn go_on(&mut self, sides: &mut Sides<'_>) -> Next {
        let mut from_service = std::mem::take(&mut self.unread);
        let next = self.drive(sides, &mut from_service);
        if !from_service.is_empty() {
            self.unread = from_service;
        }
        next
    }

    /// As [`Web::go_on`], where the target is gone.
    fn go_on_without(&mut self, sides: &mut Sides<'_>) -> Next {
        match self.go_on(sides) {
            Next::Go => Next::HangUp,
            next => next,
        }
    }

    fn close(&mut self, sides: &mut Sides<'_>) {
        self.wire.close(&mut sides.means.scratch);
        sides.deliver();
        self.wire = Wire::default();
        self.is_securing = false;
    }

    fn secure(&mut self, sides: &mut Sides<'_>) -> Result<(), String> {
        let Self { service, .. } = self;
        let account = service.account(sides.now, sides.means);
        let authority = service.authority(account.as_deref());
        let client = sides
            .means
            .web_client(&service.site, authority, &service.tickets)?;
        let started = self.wire.start(client, &mut sides.means.scratch);
        sides.deliver();
        self.is_securing = true;
        started.map_err(|error| error.explain(&SERVICE))
    }

    fn not_secured(&mut self, sides: &mut Sides<'_>, reason: String) -> Next {
        self.is_securing = false;
        self.exchange.not_connected(Failure::Because(reason.into()));
        self.go_on_without(sides)
    }

    fn decode(
        &mut self,
        sides: &mut Sides<'_>,
        size: usize,
        plain: &mut ByteBuf,
    ) -> Result<Progress, StreamError> {
        let mut sink = |record: &[u8]| plain.extend(record);
        let outcome = self.wire.receive(size, &mut sides.means.scratch, &mut sink);
        sides.deliver();
        outcome
    }

    fn ended(&mut self, sides: &mut Sides<'_>, is_cut: bool) -> Next {
        if self.kept_until.is_some() {
            return self.drop_kept(sides);
        }
        if self.is_securing {
            let text = "it closed the connection while TLS was being agreed: does it have TLS on this port?";
            return self.not_secured(sides, text.to_owned());
        }
        self.exchange.remote_ended(is_cut);
        self.go_on_without(sides)
    }
}

impl Machine for Web {
    fn client_sent(&mut self, sides: &mut Sides<'_>, payload: &[u8]) -> Next {
        if self.kept_until.take().is_some() {
            // The id comes again, so it was no listener's.
            self.set_kept(0);
            self.exchange = self.exchange.anew(sides.now);
        }
        if !self.exchange.packet(sides.now, sides.from_client, payload) {
            return self.go_on(sides);
        }
        if !self.wire.is_secure() {
            return Next::Pass;
        }
        let mut to_service = ToService {
            wire: &mut self.wire,
            scratch: &mut sides.means.scratch,
            to_target: sides.to_target,
        };
        to_service.put(payload);
        Next::Go
    }

    fn dialled(&mut self, sides: &mut Sides<'_>) -> Next {
        if !std::mem::take(&mut self.is_used) {
            return Next::Go;
        }
        self.exchange.connected(sides.now, true);
        self.go_on(sides)
    }

    fn hung_up(&mut self, sides: &mut Sides<'_>) -> Next {
        self.unread = ByteBuf::new();
        self.go_on(sides)
    }

    fn started(&mut self, sides: &mut Sides<'_>, _: Option<SocketAddr>) -> Next {
        if !self.service.site.url.is_tls {
            self.exchange.connected(sides.now, false);
            return self.go_on(sides);
        }
        match self.secure(sides) {
            Ok(()) => Next::Go,
            Err(reason) => self.not_secured(sides, reason),
        }
    }

    fn failed(&mut self, sides: &mut Sides<'_>, why: Unreached<'_>) -> Next {
        let failure = match why.is_silence {
            true => Failure::TimedOut,
            false => Failure::Because(why.reason.into()),
        };
        self.exchange.not_connected(failure);
        self.go_on_without(sides)
    }

    fn wants_slot(&self) -> bool {
        true
    }

    fn slot<'a>(&'a mut self, means: &'a mut Means, size_max: usize) -> &'a mut [u8] {
        self.packet_bytes = size_max.max(limits::PAYLOAD_BYTES_MIN);
        if self.wire.is_secure() {
            return self.wire.slot(size_max, &mut means.scratch);
        }
        let buffer = &mut means.from_service;
        buffer.clear();
        buffer.extend(self.unread.filled());
        buffer.slot(size_max, self.unread.len())
    }

    fn target_sent(&mut self, sides: &mut Sides<'_>, size: usize) -> Next {
        let mut plain = std::mem::take(&mut sides.means.from_service);
        let mut outcome = Ok(Progress::Open);
        if self.wire.is_secure() {
            plain.clear();
            plain.extend(self.unread.filled());
            outcome = self.decode(sides, size, &mut plain);
        } else {
            plain.advance(size);
        }
        self.unread = ByteBuf::new();
        if self.kept_until.is_some() {
            // Tickets of TLS are nobody's answer, and anything else is not, either.
            let is_ticket = plain.is_empty() && matches!(outcome, Ok(Progress::Open));
            plain.clear();
            sides.means.from_service = plain;
            return match is_ticket {
                true => Next::Go,
                false => self.drop_kept(sides),
            };
        }
        let next = self.said(sides, &mut plain, outcome);
        if !plain.is_empty() {
            self.unread.extend(plain.filled());
            plain.clear();
        }
        sides.means.from_service = plain;
        next
    }

    fn target_ended(&mut self, sides: &mut Sides<'_>) -> Next {
        self.ended(sides, false)
    }

    fn target_broke(&mut self, sides: &mut Sides<'_>) -> Next {
        self.ended(sides, true)
    }

    fn client_left(&mut self, sides: &mut Sides<'_>) -> Next {
        self.close(sides);
        Next::Go
    }

    fn refuse(&mut self, sides: &mut Sides<'_>, why: Why) -> Next {
        let is_new = self.exchange.producer().is_none();
        let text = match why {
            Why::Stopping => "the hoop agent is shutting down: try again",
            Why::Stalled => super::STALLED,
            Why::NoRoom => "the hoop agent has no room for another connection: try again",
        };
        let fault = Fault::new(503, text);
        if is_new && why == Why::Stopping {
            // What it came for is still to come.
            self.exchange.close(fault);
            return Next::Go;
        }
        let mut outlet = Outlet {
            packets: &mut sides.to_client,
            packet_bytes: self.packet_bytes,
            may_hold: false,
            now: sides.now,
        };
        self.exchange.give_up(&fault, &mut outlet);
        Next::Close(Farewell::Ended)
    }

    fn overdue(&mut self, sides: &mut Sides<'_>) -> Next {
        match self.kept_until {
            Some(until) if sides.now >= until => self.drop_kept(sides),
            Some(_) => Next::Go,
            None => self.go_on(sides),
        }
    }

    fn due(&self) -> Option<Instant> {
        self.kept_until.or_else(|| self.exchange.deadline())
    }

    fn needs_room(&self) -> bool {
        true
    }

    fn takes_kept(&self) -> bool {
        // Where none is kept, nobody need look for one.
        !self.wants_fresh
            && self.exchange.producer() == Some(Producer::Listener)
            && self.service.kept.get() > 0
    }

    fn give_kept(&mut self) -> Option<Wire> {
        self.kept_until.take()?;
        self.set_kept(0);
        Some(std::mem::take(&mut self.wire))
    }

    fn take_kept(&mut self, wire: Wire) {
        self.wire = wire;
        self.is_used = true;
    }
}

impl Web {
    /// What the service has said is plain now, and perhaps TLS has come to something.
    fn said(
        &mut self,
        sides: &mut Sides<'_>,
        plain: &mut ByteBuf,
        outcome: Result<Progress, StreamError>,
    ) -> Next {
        match outcome {
            Err(error) if self.is_securing => {
                return self.not_secured(sides, error.explain(&SERVICE));
            }
            Err(_) => self.exchange.remote_ended(true),
            Ok(Progress::PeerClosed) => self.exchange.remote_ended(false),
            Ok(_) => {}
        }
        if self.is_securing && self.wire.is_open() {
            self.is_securing = false;
            self.exchange.connected(sides.now, false);
        }
        self.drive(sides, plain)
    }
}
