//! An answer on its way to the user, cut into packets as whoever takes them needs it.
//!
//! A client takes anything, and gets everything at once. The gateway's listener takes an answer whose
//! first packet holds its whole head, wants an exact length, and drops what comes beyond 100 packets
//! that wait for a slow user: so it gets few, large packets, and an answer of unknown length is held
//! back for a moment in the hope that it ends.

use std::time::{Duration, Instant};

use super::fields;
use crate::limits;
use crate::wire::sink::Packets;

/// How an answer is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// At once, in any pieces: for a client.
    Plain,
    /// For the listener: a body of known length, or none.
    Exact {
        /// Of the body.
        length: u64,
    },
    /// For the listener: held back for its length.
    Undecided,
    /// For the listener: bytes whose number nobody knows, soon after they came.
    Live,
    /// For the listener: what follows a switch of protocols. The user may wait for it before he goes on.
    Switched,
    /// For the listener: events, each at once.
    Events,
}

/// Bytes that are set aside in a head for a length.
const LENGTH_GAP: &[u8] = b"Content-Length:                     \r\n\r\n";
/// Where the digits of it end.
const GAP_DIGITS_END: usize = LENGTH_GAP.len() - 4;

/// See the module.
pub struct Delivery {
    form: Form,
    /// How long an answer is held back for its length.
    pub hold_max: Duration,
    /// What waits.
    gathered: Vec<u8>,
    /// Its head's end, where its length is to be decided.
    body_at: usize,
    /// When the first of it came.
    since: Option<Instant>,
    /// When the last packet left.
    last: Option<Instant>,
    /// Packets that only time has asked for.
    hurried: u32,
    /// Something of this answer has left.
    has_begun: bool,
    /// Only the end of the user's connection ends it.
    ends_by_close: bool,
}

/// What one step of an exchange may send.
pub struct Outlet<'a> {
    /// Where it goes.
    pub packets: &'a mut dyn Packets,
    /// The size that the link wishes for.
    pub packet_bytes: usize,
    /// Whether anything may be held back.
    pub may_hold: bool,
    /// The time.
    pub now: Instant,
}

impl Outlet<'_> {
    fn send(&mut self, bytes: &[u8], packet_bytes: usize) {
        for packet in bytes.chunks(packet_bytes.clamp(1, limits::WEB_PACKET_BYTES_MAX)) {
            self.packets.packet(packet);
        }
    }
}

impl Delivery {
    /// Before the first answer.
    pub fn new() -> Self {
        Self {
            form: Form::Plain,
            hold_max: limits::WEB_HOLD_MAX,
            gathered: Vec::new(),
            body_at: 0,
            since: None,
            last: None,
            hurried: 0,
            has_begun: false,
            ends_by_close: false,
        }
    }

    /// Something of the answer under way has left: nothing can take its place any more.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// The listener has to be told where the last answer ends.
    pub fn ends_by_close(&self) -> bool {
        self.ends_by_close
    }

    /// Bytes that wait.
    pub fn held_bytes(&self) -> usize {
        self.gathered.capacity()
    }

    /// An answer begins with this head. It ends with its empty line, or lacks the length and that.
    pub fn begin(&mut self, head: &[u8], form: Form, outlet: &mut Outlet<'_>) {
        self.form = form;
        self.hurried = 0;
        self.ends_by_close = matches!(form, Form::Live | Form::Switched | Form::Events);
        self.gathered.clear();
        self.gathered.extend_from_slice(head);
        if form == Form::Undecided {
            self.gathered.extend_from_slice(LENGTH_GAP);
        }
        self.body_at = self.gathered.len();
        self.since = Some(outlet.now);
        self.last = None;
        if self.ends_by_close {
            self.flush(outlet);
            self.last = None;
        }
    }

    /// Bytes of the body, or of what follows a switch of protocols.
    pub fn body(&mut self, bytes: &[u8], outlet: &mut Outlet<'_>) {
        if bytes.is_empty() {
            return;
        }
        if self.form == Form::Plain && (self.gathered.is_empty() || bytes.len() >= COPIED_BYTES_MAX)
        {
            self.flush(outlet);
            self.has_begun = true;
            return outlet.send(bytes, outlet.packet_bytes);
        }
        self.since.get_or_insert(outlet.now);
        self.make_room(bytes.len());
        self.gathered.extend_from_slice(bytes);
        if self.form == Form::Undecided
            && self.gathered.len() - self.body_at > limits::WEB_HOLD_BYTES_MAX
        {
            self.go_endless(outlet);
        }
        if let Form::Exact { length } = self.form
            && self.gathered.len() >= exact_packet(length, outlet.packet_bytes)
        {
            self.flush(outlet);
        }
    }

    /// Grows as a vector does, but by no more than a mebibyte: what waits may be large.
    fn make_room(&mut self, bytes: usize) {
        let room = self.gathered.capacity() - self.gathered.len();
        if room < bytes {
            let more = self.gathered.len().min(GROWTH_BYTES_MAX);
            self.gathered.reserve_exact(bytes + more);
        }
    }

    /// Nothing more has come for now: sends what is not to wait.
    pub fn pause(&mut self, outlet: &mut Outlet<'_>) {
        let is_due = self.due().is_none_or(|due| outlet.now >= due);
        let is_full =
            self.form == Form::Live && self.gathered.len() >= limits::WEB_BULK_PACKET_BYTES;
        if self.gathered.is_empty() || !(is_due || is_full || !outlet.may_hold) {
            return;
        }
        match self.form {
            Form::Undecided => self.go_endless(outlet),
            Form::Events => self.flush_events(outlet),
            Form::Exact { .. } => {
                self.hurried += 1;
                self.flush(outlet);
            }
            Form::Plain | Form::Live | Form::Switched => self.flush(outlet),
        }
    }

    /// When [`Delivery::pause`] is to be called again.
    pub fn deadline(&self) -> Option<Instant> {
        let is_waiting = !self.gathered.is_empty() && self.form != Form::Events;
        self.due().filter(|_| is_waiting)
    }

    /// When what waits has to leave; `None` for at once.
    fn due(&self) -> Option<Instant> {
        match self.form {
            Form::Plain | Form::Events => None,
            Form::Undecided => Some(self.since? + self.hold_max),
            Form::Exact { .. } => Some(self.since? + trickle(self.hurried)),
            Form::Switched => Some(self.last? + limits::WEB_LIVE_PAUSE),
            Form::Live => {
                let is_bulk = self.gathered.len() >= limits::WEB_BULK_BYTES_MIN;
                let pause = match is_bulk {
                    true => limits::WEB_BULK_PAUSE,
                    false => limits::WEB_LIVE_PAUSE,
                };
                Some(self.last? + pause)
            }
        }
    }

    /// The answer is whole.
    pub fn finish(&mut self, outlet: &mut Outlet<'_>) {
        match self.form {
            Form::Undecided => {
                let length = (self.gathered.len() - self.body_at) as u64;
                self.fill_gap(length);
                let packet_bytes = exact_packet(length, outlet.packet_bytes);
                let packet_bytes = packet_bytes.max(self.body_at);
                outlet.send(&self.gathered, packet_bytes);
                self.gathered.clear();
            }
            _ => self.flush(outlet),
        }
        self.forget();
    }

    /// The answer ends before its time. What was held back for a length must not get one.
    pub fn break_off(&mut self, outlet: &mut Outlet<'_>) {
        if self.form != Form::Undecided {
            self.flush(outlet);
        }
        self.forget();
    }

    /// Nothing of it is to be sent any more. The next answer may begin.
    pub fn forget(&mut self) {
        self.gathered.clear();
        self.gathered.shrink_to(KEPT_BYTES_MAX);
        self.form = Form::Plain;
        self.since = None;
        self.last = None;
        self.has_begun = false;
    }

    /// No end is near: the user is told a length that nothing reaches, and gets what there is.
    fn go_endless(&mut self, outlet: &mut Outlet<'_>) {
        self.fill_gap(limits::WEB_ENDLESS_BYTES);
        self.ends_by_close = true;
        self.form = Form::Live;
        self.flush(outlet);
    }

    fn fill_gap(&mut self, length: u64) {
        let mut digits = Vec::with_capacity(20);
        fields::push_number(&mut digits, length, 10);
        let gap = self.body_at - LENGTH_GAP.len();
        let end = gap + GAP_DIGITS_END;
        if let Some(place) = self.gathered.get_mut(end - digits.len()..end) {
            place.copy_from_slice(&digits);
        }
    }

    fn flush(&mut self, outlet: &mut Outlet<'_>) {
        if self.gathered.is_empty() {
            return;
        }
        let packet_bytes = match self.form {
            Form::Plain => outlet.packet_bytes,
            _ => limits::WEB_PACKET_BYTES_MAX,
        };
        outlet.send(&self.gathered, packet_bytes);
        self.gathered.clear();
        self.has_begun = true;
        self.since = None;
        self.last = Some(outlet.now);
    }

    /// The listener takes a packet that trims to `0` for the end of all events.
    fn flush_events(&mut self, outlet: &mut Outlet<'_>) {
        let is_end = is_end_of_events(&self.gathered);
        if is_end && !self.gathered.ends_with(b"\n") {
            // No whole line: nobody waits for it alone.
            return;
        }
        if is_end {
            // A comment, which nobody is shown.
            self.gathered.extend_from_slice(b":\n");
        }
        self.flush(outlet);
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes that rather go behind a head than into a packet of their own.
const COPIED_BYTES_MAX: usize = 4096;
/// Room that is taken ahead.
const GROWTH_BYTES_MAX: usize = 1 << 20;
/// Memory kept between two answers.
const KEPT_BYTES_MAX: usize = 4096;

/// The size of a packet of a body of this length: no more than 64 for all of it, where that is possible.
fn exact_packet(length: u64, packet_bytes: usize) -> usize {
    let share = length / limits::WEB_PACKETS_PER_BODY as u64;
    let share = usize::try_from(share).unwrap_or(usize::MAX);
    share.max(packet_bytes).min(limits::WEB_PACKET_BYTES_MAX)
}

fn trickle(hurried: u32) -> Duration {
    match hurried {
        0..16 => limits::WEB_TRICKLE_FIRST,
        16..32 => limits::WEB_TRICKLE_THEN,
        _ => limits::WEB_TRICKLE_LAST,
    }
}

fn is_end_of_events(piece: &[u8]) -> bool {
    // Go's and our white space are the same; a long piece of nothing else is none of a service's.
    std::str::from_utf8(piece).is_ok_and(|text| text.trim() == "0")
}
