//! An exchange with its service: heads and bodies of answers, a switch of protocols, and every end.

use super::bodies::{self, BodyCopy};
use super::delivery::{Form, Outlet};
use super::exchange::{Answering, Asking, Exchange, Remote, Turn};
use super::fields;
use super::framed;
use super::page::{Fault, page};
use super::producer::Producer;
use super::reply::{self, Reply};
use super::request::{HEAD, Request};
use super::wires::{Step, Wires};
use crate::http::framing::{BodySpans, Framing};
use crate::http::head::foreign;
use crate::http::{HttpError, lines};
use crate::limits;
use std::time::Instant;

impl Exchange {
    /// A connection that serves no request: whether it is to be closed.
    pub(super) fn drops_idle(&mut self, wires: &Wires<'_>) -> bool {
        let is_open = matches!(self.remote, Remote::Open { .. } | Remote::Ended { .. });
        let is_over = self
            .kept_until()
            .is_some_and(|until| wires.outlet.now >= until);
        // What comes unasked can't be the answer to what will be asked.
        let is_odd = !wires.from_remote.is_empty() || matches!(self.remote, Remote::Ended { .. });
        if is_open && self.over.is_none() && (is_over || is_odd) {
            self.remote = Remote::None;
            return true;
        }
        false
    }

    pub(super) fn kept_until(&self) -> Option<Instant> {
        match self.remote {
            Remote::Open {
                is_logged_in,
                since,
                ..
            } if self.asked.is_none() => Some(match is_logged_in {
                true => since + limits::WEB_KEPT_LOGIN_MAX,
                false => since + limits::WEB_KEPT_MAX,
            }),
            _ => None,
        }
    }

    /// Passes on of the answer what has come of it; `None` when more has to come.
    pub(super) fn answer(&mut self, wires: &mut Wires<'_>) -> Option<Turn> {
        match &mut self.answering {
            Answering::Nothing => None,
            Answering::Head { .. } => self.take_reply(wires),
            Answering::Body(body) => {
                let copied = bodies::copy(
                    body,
                    wires.from_remote,
                    &mut self.delivery,
                    &mut wires.outlet,
                );
                let (is_done, is_kept) = (body.spans.is_done(), body.is_kept);
                match copied {
                    Err(error) => Some(self.broken(error, wires)),
                    Ok(()) => is_done.then(|| self.answered(is_kept, wires)),
                }
            }
            Answering::Raw => {
                self.delivery
                    .body(wires.from_remote.filled(), &mut wires.outlet);
                wires.from_remote.clear();
                None
            }
        }
    }

    /// The next head of the service, if it is whole.
    fn take_reply(&mut self, wires: &mut Wires<'_>) -> Option<Turn> {
        let (
            Answering::Head {
                searched,
                interim_count,
            },
            Some(asked),
        ) = (&mut self.answering, &self.asked)
        else {
            return None;
        };
        let waiting = wires.from_remote.filled();
        if let Some(error) = foreign(waiting) {
            return Some(self.broken(error, wires));
        }
        let len = match lines::head_len(waiting, searched, HEAD) {
            Ok(None) => return None,
            Ok(Some(len)) => len,
            Err(error) => return Some(self.broken(error, wires)),
        };
        *searched = 0;
        *interim_count += 1;
        let is_too_many = *interim_count > limits::WEB_INTERIM_MAX;
        let head = &mut wires.from_remote.filled_mut()[..len];
        let read = reply::read(head, asked.request.is_head, wires.site, &self.view);
        wires.from_remote.consume(len);
        let reply = match read {
            Ok(reply) => reply,
            Err(fault) => return Some(self.fail(&fault, wires)),
        };
        match reply.status {
            101 if asked.request.upgrade.is_some() && self.is_asked_whole() => {
                self.switch(reply, wires)
            }
            100..=199 if is_too_many || reply.status == 101 => {
                return Some(self.broken(HttpError::Malformed, wires));
            }
            100..=199 => self.pass_interim(reply, wires),
            _ => self.begin_answer(reply, wires),
        }
        Some(Turn::Again)
    }

    pub(super) fn is_asked_whole(&self) -> bool {
        matches!(self.asking, Asking::Whole)
    }

    /// 103 and its like are for the user. 100 we have said ourselves, and to the listener none may be sent.
    fn pass_interim(&mut self, mut reply: Reply, wires: &mut Wires<'_>) {
        let is_old = self
            .asked
            .as_ref()
            .is_some_and(|asked| asked.request.is_http_1_0);
        if reply.status != 100 && !is_old && !self.is_to_listener() {
            reply.head.extend_from_slice(b"\r\n");
            wires.outlet.packets.packet(&reply.head);
        }
    }

    /// The head of the final answer goes to the user, framed as he can take it.
    fn begin_answer(&mut self, mut reply: Reply, wires: &mut Wires<'_>) {
        let is_listener = self.is_to_listener();
        let Some(asked) = &mut self.asked else { return };
        let request = &mut asked.request;
        // What has been answered is not asked again.
        request.forget_head();
        let is_old = request.is_http_1_0;
        if let Remote::Open {
            is_logged_in,
            is_used,
            ..
        } = &mut self.remote
        {
            *is_logged_in |= reply.logs_in || request.logs_in;
            *is_used = true;
        }
        let is_shared_login = is_listener && (reply.logs_in || request.logs_in);
        let (form, is_verbatim) = match is_listener {
            true => (framed::for_listener(&mut reply, request.is_head), false),
            false => {
                let ends_by_close = framed::for_client(&mut reply, request);
                request.closes |= ends_by_close;
                self.is_awaited = ends_by_close;
                (Form::Plain, reply.framing == Framing::Chunked && !is_old)
            }
        };
        self.delivery.hold_max = match request.is_patient {
            true => limits::WEB_HOLD_CLUSTER_MAX,
            false => limits::WEB_HOLD_MAX,
        };
        self.delivery.begin(&reply.head, form, &mut wires.outlet);
        self.answering = Answering::Body(BodyCopy {
            spans: BodySpans::new(reply.framing),
            is_verbatim,
            is_kept: !reply.closes && !is_shared_login,
        });
    }

    /// From here on both sides say what they like.
    fn switch(&mut self, mut reply: Reply, wires: &mut Wires<'_>) {
        let wanted = self
            .asked
            .as_mut()
            .and_then(|asked| asked.request.upgrade.take());
        let protocol = reply.upgrade.take().or(wanted).unwrap_or_default();
        fields::push(&mut reply.head, b"Upgrade", &protocol);
        reply.head.extend_from_slice(b"Connection: Upgrade\r\n\r\n");
        let form = match self.is_to_listener() {
            true => Form::Switched,
            false => Form::Plain,
        };
        self.delivery.begin(&reply.head, form, &mut wires.outlet);
        self.heard = wires.outlet.now;
        self.asking = Asking::Raw;
        self.answering = Answering::Raw;
    }

    pub(super) fn is_to_listener(&self) -> bool {
        self.producer.is_some_and(Producer::is_listener)
    }

    pub(super) fn is_listener_raw(&self) -> bool {
        self.is_to_listener() && matches!(self.asking, Asking::Raw)
    }

    // -- ends -----------------------------------------------------------------------------------

    /// All that came was read: whether something has ended.
    pub(super) fn look_at_ends(&mut self, wires: &mut Wires<'_>) -> Turn {
        if self.is_listener_raw() && wires.outlet.now >= self.heard + limits::WEB_USER_SILENCE_MAX {
            return self.leave(wires);
        }
        let ahead_bytes = wires.from_client.len();
        if self.is_asked_whole() && ahead_bytes > limits::WEB_AHEAD_BYTES_MAX {
            return self.leave(wires);
        }
        let Remote::Ended { is_used, is_cut } = self.remote else {
            return Turn::Out(Step::Wait);
        };
        let may_repeat = is_used && wires.from_remote.is_empty() && self.may_repeat();
        match &mut self.answering {
            Answering::Raw => self.leave(wires),
            Answering::Body(body) => match body.spans.close() {
                Ok(()) if !is_cut => self.answered(false, wires),
                _ => self.broken(HttpError::Truncated, wires),
            },
            Answering::Head {
                interim_count: 0, ..
            } if may_repeat => {
                if let Some(asked) = &mut self.asked {
                    asked.is_repeated = true;
                    asked.is_unsent = true;
                }
                self.remote = Remote::None;
                Turn::Out(Step::HangUp)
            }
            _ => {
                let error = match wires.from_remote.is_empty() {
                    true => HttpError::NoAnswer,
                    false => HttpError::Truncated,
                };
                self.broken(error, wires)
            }
        }
    }

    /// Whether a request that a kept connection has not answered may be sent again: once, and only if
    /// nothing was sent, or if it has no body and twice is as good as once.
    fn may_repeat(&self) -> bool {
        let is_bodyless =
            |request: &Request| matches!(request.framing, Framing::Empty | Framing::Length(0));
        self.asked.as_ref().is_some_and(|asked| {
            let request = &asked.request;
            let is_harmless =
                request.is_idempotent && request.upgrade.is_none() && is_bodyless(request);
            !asked.is_repeated && (asked.is_unsent || is_harmless)
        })
    }

    /// The answer is whole, or a page stands for it.
    fn answered(&mut self, is_kept: bool, wires: &mut Wires<'_>) -> Turn {
        let is_listener = self.is_to_listener();
        let request = self.asked.take().map(|asked| asked.request);
        let is_head = request.as_ref().is_some_and(|request| request.is_head);
        let closes = request.is_none_or(|request| request.closes);
        self.delivery.finish(&mut wires.outlet);
        if is_listener || closes {
            self.over = Some(!is_listener || is_head || self.delivery.ends_by_close());
        }
        self.answering = Answering::Nothing;
        let asking = std::mem::replace(&mut self.asking, Asking::Whole);
        let is_whole = matches!(asking, Asking::Whole);
        self.asking = match asking {
            Asking::Body { spans, .. } => Asking::Draining(Some(spans)),
            Asking::Gathering | Asking::Chunking => Asking::Draining(None),
            _ => Asking::Head { searched: 0 },
        };
        // A byte too many belongs to nothing that will be asked.
        let is_open = matches!(self.remote, Remote::Open { .. });
        self.is_kept = is_kept && is_whole && is_open && wires.from_remote.is_empty();
        match &mut self.remote {
            Remote::Open { since, .. } if self.is_kept => {
                *since = wires.outlet.now;
                Turn::Again
            }
            Remote::None => Turn::Again,
            _ => {
                self.remote = Remote::None;
                Turn::Out(Step::HangUp)
            }
        }
    }

    /// Whether a page about this could take the place of the answer, of which nothing must have left.
    fn put_page(&mut self, fault: &Fault, closes: bool, outlet: &mut Outlet<'_>) -> bool {
        if self.delivery.has_begun() {
            return false;
        }
        let request = self.asked.as_ref().map(|asked| &asked.request);
        let is_head = request.is_some_and(|request| request.is_head);
        let page = page(fault, is_head, closes);
        self.delivery.forget();
        self.delivery
            .begin(&page, Form::Exact { length: 0 }, outlet);
        true
    }

    /// There is no answer: a page says why. What was said of one can't be taken back, so the user's side ends
    /// with it.
    pub(super) fn fail(&mut self, fault: &Fault, wires: &mut Wires<'_>) -> Turn {
        let request = self.asked.as_ref().map(|asked| &asked.request);
        let closes = request.is_none_or(|request| request.closes);
        match self.put_page(fault, closes, &mut wires.outlet) {
            true => self.answered(false, wires),
            false => self.leave(wires),
        }
    }

    /// As [`Exchange::fail`], by the service's own fault.
    fn broken(&mut self, error: HttpError, wires: &mut Wires<'_>) -> Turn {
        self.fail(&reply::broken(&wires.site.url.authority, error), wires)
    }

    /// As [`Exchange::fail`], where nobody knows any more where the next request begins.
    pub(super) fn refuse(&mut self, fault: &Fault, wires: &mut Wires<'_>) -> Turn {
        self.put_page(fault, true, &mut wires.outlet);
        self.leave(wires)
    }

    /// The owner goes no further, whatever was going on: the user hears why if he waits for an answer of
    /// which he has seen nothing. The id is over; its sides are to be closed.
    pub fn give_up(&mut self, why: &Fault, outlet: &mut Outlet<'_>) {
        if self.asked.is_some() {
            self.put_page(why, true, outlet);
        }
        self.delivery.break_off(outlet);
    }

    /// The user's side ends when all of the last request has come: closed before, the answer could be lost
    /// on its way. An answer that ends with the connection can't wait for that.
    pub(super) fn wind_up(&self, is_told: bool) -> Step {
        let is_read = matches!(self.asking, Asking::Head { .. } | Asking::Whole);
        match is_read || self.is_awaited {
            false => Step::Wait,
            true => Step::Finished {
                is_told,
                is_kept: self.is_kept,
            },
        }
    }

    /// Both sides end, with what was said.
    fn leave(&mut self, wires: &mut Wires<'_>) -> Turn {
        self.delivery.break_off(&mut wires.outlet);
        Turn::Out(Step::Finished {
            is_told: true,
            is_kept: false,
        })
    }
}
