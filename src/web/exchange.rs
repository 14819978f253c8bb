//! One connection id: requests and their answers, one after the other.
//!
//! ```text
//!   request:  Head --head--> Body --end--> Whole      unframed: Gathering --end--> Whole or Chunking
//!                             |                        101: Raw
//!                             +--answered before--> Draining
//!   remote:   None --Dial--> Dialling --connected--> Open --HangUp, remote_ended--> None
//!   answer:   None --request--> Head --final head--> Body --end--> None
//! ```
//! The owner tells what happens ([`Exchange::packet`], [`Exchange::connected`], ...), and after each calls
//! [`Exchange::step`] until it is to wait.

use std::time::Instant;

use super::bodies::{self, BodyCopy};
use super::delivery::Delivery;
use super::framed;
use super::page::{Failure, Fault};
use super::producer::Producer;
use super::request::{self, HEAD, Request};
use super::view::View;
use super::wires::{Step, Wires};
use crate::base::ByteBuf;
use crate::http::framing::{BodySpans, Framing};
use crate::http::lines;
use crate::limits;

/// The user's side.
pub(super) enum Asking {
    /// At the beginning of a head, of which so much was searched.
    Head { searched: usize },
    /// The body goes to the service.
    Body { spans: BodySpans, is_chunked: bool },
    /// A body whose end the next short packet shows.
    Gathering,
    /// The same, too large to be kept.
    Chunking,
    /// All of the request has come.
    Whole,
    /// What is left of an answered request. Nothing says where it ends where there are no spans.
    Draining(Option<BodySpans>),
    /// Protocols were switched.
    Raw,
}

/// The connection to the service.
pub(super) enum Remote {
    None,
    Dialling,
    Open {
        /// It has served a request before.
        is_used: bool,
        /// A login is its, not a request's.
        is_logged_in: bool,
        /// When it was last needed.
        since: Instant,
    },
    /// Nothing more will come.
    Ended {
        is_used: bool,
        is_cut: bool,
    },
}

/// The service's side.
pub(super) enum Answering {
    /// Nobody has asked.
    Nothing,
    /// At the beginning of a head, of which so much was searched.
    Head {
        searched: usize,
        interim_count: u8,
    },
    Body(BodyCopy),
    /// Protocols were switched.
    Raw,
}

/// What is to be known of a request until it is answered.
pub(super) struct Asked {
    pub(super) request: Request,
    /// Its head has yet to be sent.
    pub(super) is_unsent: bool,
    pub(super) is_repeated: bool,
}

/// See the module.
pub struct Exchange {
    /// As the packets say it.
    base: View,
    /// As the user of the request at hand sees the service.
    pub(super) view: View,
    pub(super) producer: Option<Producer>,
    pub(super) packet_bytes_max: usize,
    /// The last packet was a full slice of the listener's.
    pub(super) is_full_slice: bool,
    /// When the user was last heard.
    pub(super) heard: Instant,
    pub(super) asking: Asking,
    pub(super) asked: Option<Asked>,
    pub(super) remote: Remote,
    pub(super) answering: Answering,
    pub(super) delivery: Delivery,
    pub(super) failure: Option<Failure>,
    /// What the next request is told.
    closing: Option<Fault>,
    /// The last answer was sent; whether the user's side is closed with that.
    pub(super) over: Option<bool>,
    /// Only the end of his connection tells the user that he has all of it.
    pub(super) is_awaited: bool,
    pub(super) is_kept: bool,
}

/// What became of a turn.
pub(super) enum Turn {
    Again,
    Out(Step),
}

impl Exchange {
    /// The first packet of an id has come with this view: one without may not open a connection.
    pub fn new(view: View, now: Instant) -> Self {
        Self {
            view: view.clone(),
            base: view,
            producer: None,
            packet_bytes_max: 0,
            is_full_slice: false,
            heard: now,
            asking: Asking::Head { searched: 0 },
            asked: None,
            remote: Remote::None,
            answering: Answering::Nothing,
            delivery: Delivery::new(),
            failure: None,
            closing: None,
            over: None,
            is_awaited: false,
            is_kept: false,
        }
    }

    /// As at the first packet of the same id.
    pub fn anew(&self, now: Instant) -> Self {
        Self::new(self.base.clone(), now)
    }

    /// The user sent this packet. Either it is appended to `from_client`, or `true`: all of it goes to the service as
    /// it is, which may spare its copies, and there is nothing to step for.
    #[must_use]
    pub fn packet(&mut self, now: Instant, from_client: &mut ByteBuf, packet: &[u8]) -> bool {
        self.heard = now;
        self.packet_bytes_max = self.packet_bytes_max.max(packet.len());
        self.is_full_slice = packet.len() == limits::WEB_SLICE_BYTES;
        if from_client.is_empty() && self.passes(packet.len()) {
            return true;
        }
        from_client.extend(packet);
        false
    }

    /// So many bytes belong to a body whose length was told, or to another protocol.
    fn passes(&mut self, bytes: usize) -> bool {
        let is_sent = self.asked.as_ref().is_some_and(|asked| !asked.is_unsent);
        if !is_sent || !matches!(self.remote, Remote::Open { .. }) {
            return false;
        }
        match &mut self.asking {
            Asking::Raw => true,
            Asking::Body { spans, .. } => {
                let passes = spans.take_data(bytes);
                if spans.is_done() {
                    self.asking = Asking::Whole;
                }
                passes
            }
            _ => false,
        }
    }

    /// There is a connection to the service.
    pub fn connected(&mut self, now: Instant, is_used: bool) {
        if matches!(self.remote, Remote::Dialling) {
            self.remote = Remote::Open {
                is_used,
                is_logged_in: false,
                since: now,
            };
        }
    }

    /// There is none to be had.
    pub fn not_connected(&mut self, failure: Failure) {
        if matches!(self.remote, Remote::Dialling) {
            self.remote = Remote::None;
            self.failure = Some(failure);
        }
    }

    /// The next request is told this, and is the last one.
    pub fn close(&mut self, why: Fault) {
        self.closing = Some(why);
    }

    /// The service will say no more, by an end of stream or, `is_cut`, by a reset or a fault of TLS. What
    /// it had said before is in `from_remote`, also when a write was what failed.
    pub fn remote_ended(&mut self, is_cut: bool) {
        if let Remote::Open { is_used, .. } = self.remote {
            self.remote = Remote::Ended { is_used, is_cut };
        }
    }

    /// Bytes that it holds beside the wires.
    pub fn held_bytes(&self) -> usize {
        let head = self
            .asked
            .as_ref()
            .map_or(0, |asked| asked.request.head.capacity());
        self.delivery.held_bytes() + head
    }

    /// Who is asking, once that is known.
    pub fn producer(&self) -> Option<Producer> {
        self.producer
    }

    /// A request has been sent whole and is not answered.
    #[cfg(test)]
    pub fn is_waiting(&self) -> bool {
        self.asked.is_some() && matches!(self.asking, Asking::Whole)
    }

    /// When to step though nothing has come.
    pub fn deadline(&self) -> Option<Instant> {
        let unframed = matches!(
            self.asking,
            Asking::Gathering | Asking::Chunking | Asking::Draining(None)
        );
        let silence = unframed.then(|| self.heard + limits::WEB_UNFRAMED_SILENCE_MAX);
        let user = self
            .is_listener_raw()
            .then(|| self.heard + limits::WEB_USER_SILENCE_MAX);
        let all = [self.delivery.deadline(), silence, user, self.kept_until()];
        all.into_iter().flatten().min()
    }

    /// One step forward; see [`Step`].
    pub fn step(&mut self, wires: &mut Wires<'_>) -> Step {
        loop {
            match self.turn(wires) {
                Turn::Again => {}
                Turn::Out(step) => {
                    self.delivery.pause(&mut wires.outlet);
                    return step;
                }
            }
        }
    }

    fn turn(&mut self, wires: &mut Wires<'_>) -> Turn {
        if let Some(failure) = self.failure.take() {
            return self.fail(&failure.fault(&wires.site.url.authority), wires);
        }
        if self.asked.is_none() && self.drops_idle(wires) {
            return Turn::Out(Step::HangUp);
        }
        if matches!(self.asking, Asking::Draining(_))
            && let Err(step) = self.drain(wires)
        {
            return Turn::Out(step);
        }
        if let Some(is_told) = self.over {
            return Turn::Out(self.wind_up(is_told));
        }
        if self.asked.is_none() {
            return self.take_head(wires);
        }
        self.serve(wires)
    }

    /// There is a request that is not answered.
    fn serve(&mut self, wires: &mut Wires<'_>) -> Turn {
        if matches!(self.asking, Asking::Gathering) && !self.gather(wires) {
            return Turn::Out(Step::Wait);
        }
        match self.remote {
            Remote::None => {
                self.remote = Remote::Dialling;
                let is_fresh = self.asked.as_ref().is_some_and(|asked| asked.is_repeated);
                return Turn::Out(Step::Dial { is_fresh });
            }
            Remote::Dialling => return Turn::Out(Step::Wait),
            Remote::Open { .. } => {
                if let Err(turn) = self.send(wires) {
                    return turn;
                }
            }
            Remote::Ended { .. } => {}
        }
        match self.answer(wires) {
            Some(turn) => turn,
            None => self.look_at_ends(wires),
        }
    }

    // -- the user's side ------------------------------------------------------------------------

    /// The next request, if its head is whole.
    fn take_head(&mut self, wires: &mut Wires<'_>) -> Turn {
        let Asking::Head { searched } = &mut self.asking else {
            return Turn::Out(Step::Wait);
        };
        // Some programs send an empty line behind a body.
        while *searched == 0 && wires.from_client.filled().starts_with(b"\r\n") {
            wires.from_client.consume(2);
        }
        let len = match lines::head_len(wires.from_client.filled(), searched, HEAD) {
            Ok(None) => return Turn::Out(Step::Wait),
            Ok(Some(len)) => len,
            Err(_) => return self.refuse(&request::too_large(), wires),
        };
        let head = &wires.from_client.filled()[..len];
        self.view.clone_from(&self.base);
        let read = request::read(head, (wires.site, wires.current), &mut self.view);
        wires.from_client.consume(len);
        let request = match read {
            Ok(request) => request,
            Err(fault) => return self.refuse(&fault, wires),
        };
        let of_first = || Producer::of(&self.base, &request, self.packet_bytes_max);
        let producer = *self.producer.get_or_insert_with(of_first);
        if let Some(fault) = self.closing.take() {
            return self.refuse(&fault, wires);
        }
        if producer.is_listener() && request.is_http_2 && request.upgrade.is_some() {
            let text = "this needs HTTP/1.1, which your program does not speak to hoop now: a protocol can't be switched within HTTP/2";
            return self.refuse(&Fault::new(501, text), wires);
        }
        if request.is_misled && !producer.is_listener() {
            return self.refuse(&request::misled(), wires);
        }
        self.begin(request, producer, wires);
        Turn::Again
    }

    fn begin(&mut self, mut request: Request, producer: Producer, wires: &mut Wires<'_>) {
        let is_unframed = producer.is_listener()
            && !request.is_framed()
            && (self.is_full_slice || !wires.from_client.is_empty());
        self.asking = match request.framing {
            _ if is_unframed => Asking::Gathering,
            framing => Asking::Body {
                spans: BodySpans::new(framing),
                is_chunked: framing == Framing::Chunked,
            },
        };
        if !is_unframed {
            framed::request(&mut request, producer.is_listener());
        }
        let waits = request.expects && request.is_framed() && wires.from_client.is_empty();
        if waits && !producer.is_listener() {
            wires
                .outlet
                .packets
                .packet(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.asked = Some(Asked {
            request,
            is_unsent: true,
            is_repeated: false,
        });
        self.answering = Answering::Head {
            searched: 0,
            interim_count: 0,
        };
    }

    /// Waits for the end of an unframed body; whether it can be sent.
    fn gather(&mut self, wires: &mut Wires<'_>) -> bool {
        let is_whole = self.is_unframed_over(wires.outlet.now);
        let is_large = wires.from_client.len() > limits::WEB_UNFRAMED_BYTES_MAX;
        let Some(asked) = self.asked.as_mut().filter(|_| is_whole || is_large) else {
            return false;
        };
        let request = &mut asked.request;
        let framing = match is_whole {
            true => Framing::Length(wires.from_client.len() as u64),
            false => Framing::Chunked,
        };
        request.framing = framing;
        framed::request(request, true);
        self.asking = match is_whole {
            true => Asking::Body {
                spans: BodySpans::new(framing),
                is_chunked: false,
            },
            false => Asking::Chunking,
        };
        true
    }

    fn is_unframed_over(&self, now: Instant) -> bool {
        !self.is_full_slice || now >= self.heard + limits::WEB_UNFRAMED_SILENCE_MAX
    }

    /// Sends of the request what has come of it.
    fn send(&mut self, wires: &mut Wires<'_>) -> Result<(), Turn> {
        let is_to_listener = self.is_to_listener();
        let Some(asked) = &mut self.asked else {
            return Ok(());
        };
        if asked.is_unsent {
            if let Remote::Open { is_used: true, .. } = self.remote
                && !wires.from_remote.is_empty()
            {
                // Nobody has asked for that: it is no answer to this.
                asked.is_repeated = true;
                self.remote = Remote::None;
                return Err(Turn::Out(Step::HangUp));
            }
            wires.to_remote.put(&asked.request.head);
            asked.is_unsent = false;
        }
        let from_client = &mut *wires.from_client;
        match &mut self.asking {
            Asking::Body { spans, is_chunked } => {
                let sent = bodies::pass(spans, *is_chunked, from_client, Some(wires.to_remote));
                let is_done = spans.is_done();
                if sent.is_err() {
                    return Err(self.refuse(&request::malformed(), wires));
                }
                if is_done {
                    self.asking = Asking::Whole;
                }
            }
            Asking::Chunking => {
                bodies::put_chunk(from_client.filled(), wires.to_remote);
                from_client.clear();
                if self.is_unframed_over(wires.outlet.now) {
                    wires.to_remote.put(b"0\r\n\r\n");
                    self.asking = Asking::Whole;
                }
            }
            Asking::Raw => {
                wires.to_remote.put(from_client.filled());
                from_client.clear();
            }
            Asking::Whole if is_to_listener && asked.request.upgrade.is_none() => {
                // One request an id: this is none of it.
                from_client.clear();
            }
            _ => {}
        }
        Ok(())
    }

    /// Drops what is left of a request that was answered before its end.
    fn drain(&mut self, wires: &mut Wires<'_>) -> Result<(), Step> {
        let is_unframed_over = self.is_unframed_over(wires.outlet.now);
        let Asking::Draining(rest) = &mut self.asking else {
            return Ok(());
        };
        let is_over = match rest {
            Some(spans) => {
                if bodies::pass(spans, false, wires.from_client, None).is_err() {
                    return Err(Step::Finished {
                        is_told: true,
                        is_kept: false,
                    });
                }
                spans.is_done()
            }
            None => {
                wires.from_client.clear();
                is_unframed_over
            }
        };
        if is_over {
            self.asking = Asking::Head { searched: 0 };
        }
        Ok(())
    }
}
