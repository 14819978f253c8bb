//! Byte pipes with a bound, and the faults that they have.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::dice::Dice;

/// How a pipe ends for its reader.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Behind the last byte.
    Fin,
    /// At once, whatever is under way.
    Reset,
}

/// What a read or a write came to.
#[derive(PartialEq, Eq, Debug)]
pub enum Outcome {
    Bytes(usize),
    WouldBlock,
    Closed,
    Broken,
}

/// One direction of a connection. Bytes arrive after a while, in order.
pub struct Pipe {
    flight: VecDeque<(Instant, Vec<u8>)>,
    /// Bytes of the first piece that were read already.
    head: usize,
    held: usize,
    capacity: usize,
    end: Option<(Instant, End)>,
    latest: Instant,
    /// A writer was turned away and waits for room.
    has_waiting_writer: bool,
}

impl Pipe {
    pub fn new(now: Instant, capacity: usize) -> Self {
        Self {
            flight: VecDeque::new(),
            head: 0,
            held: 0,
            capacity,
            end: None,
            latest: now,
            has_waiting_writer: false,
        }
    }

    /// Bytes that were written and not read.
    pub fn held(&self) -> usize {
        self.held
    }

    pub fn room(&self) -> usize {
        self.capacity.saturating_sub(self.held)
    }

    /// A writer that was turned away hears of room only when there is much of it, as the kernel
    /// has it.
    pub fn invites_writer(&mut self) -> bool {
        let invites = self.has_waiting_writer && self.room() >= self.capacity / 2;
        self.has_waiting_writer &= !invites;
        invites
    }

    pub fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Takes as much of `bytes` as there is room for; it arrives after `delay`.
    pub fn write(&mut self, now: Instant, delay: Duration, bytes: &[u8]) -> Outcome {
        match self.end {
            Some(_) => return Outcome::Broken,
            None if self.room() == 0 => {
                self.has_waiting_writer = true;
                return Outcome::WouldBlock;
            }
            None => {}
        }
        let size = bytes.len().min(self.room());
        self.latest = self.latest.max(now + delay);
        self.flight.push_back((self.latest, bytes[..size].to_vec()));
        self.held += size;
        Outcome::Bytes(size)
    }

    /// Nothing more will be written; with [`End::Reset`], what is under way is lost.
    pub fn end(&mut self, now: Instant, delay: Duration, end: End) {
        if end == End::Reset {
            self.flight.clear();
            self.head = 0;
            self.held = 0;
            self.end = Some((now, End::Reset));
        } else if self.end.is_none() {
            self.latest = self.latest.max(now + delay);
            self.end = Some((self.latest, End::Fin));
        }
    }

    /// Reads what has arrived into `buffer`.
    pub fn read(&mut self, now: Instant, buffer: &mut [u8]) -> Outcome {
        let mut size = 0;
        while let Some((at, piece)) = self.flight.front() {
            if *at > now || size == buffer.len() {
                break;
            }
            let rest = &piece[self.head..];
            let part = rest.len().min(buffer.len() - size);
            buffer[size..size + part].copy_from_slice(&rest[..part]);
            size += part;
            self.head += part;
            if self.head == piece.len() {
                self.flight.pop_front();
                self.head = 0;
            }
        }
        self.held -= size;
        match self.end {
            _ if size > 0 || buffer.is_empty() => Outcome::Bytes(size),
            Some((at, End::Fin)) if at <= now && self.held == 0 => Outcome::Closed,
            Some((_, End::Reset)) => Outcome::Broken,
            _ => Outcome::WouldBlock,
        }
    }

    /// When the reader has something to find out.
    pub fn next_arrival(&self) -> Option<Instant> {
        let bytes = self.flight.front().map(|(at, _)| *at);
        bytes.or(self.end.map(|(at, _)| at))
    }
}

/// What goes wrong on one connection, and how often (in a thousand).
#[derive(Clone, Copy)]
pub struct Weather {
    pub short_reads: usize,
    pub short_writes: usize,
    pub blocks: usize,
    pub spurious: usize,
    pub delay: Duration,
}

impl Weather {
    pub fn fair() -> Self {
        Self {
            short_reads: 0,
            short_writes: 0,
            blocks: 0,
            spurious: 0,
            delay: Duration::from_micros(50),
        }
    }

    pub fn any(dice: &mut Dice) -> Self {
        Self {
            short_reads: dice.pick(&[0, 10, 300]),
            short_writes: dice.pick(&[0, 10, 300]),
            blocks: dice.pick(&[0, 10, 300]),
            spurious: dice.pick(&[0, 10, 100]),
            delay: Duration::from_micros(dice.pick(&[20, 500, 5_000, 100_000])),
        }
    }

    /// How much of `size` bytes moves at once: sometimes a single one.
    pub fn cut(self, dice: &mut Dice, per_mille: usize, size: usize) -> usize {
        if size > 1 && dice.chance(per_mille) {
            let most = dice.pick(&[1, 9, 100, size]).min(size);
            dice.between(1, most)
        } else {
            size
        }
    }
}
