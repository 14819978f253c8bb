//! Where a session's packets wait for its client: bounded, so that a client that does not read holds
//! up the agent's stream as it does behind the real gateway.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::packet::Packet;

/// What came, and whether more can come.
#[derive(Default)]
struct Arrivals {
    queue: VecDeque<Packet>,
    bytes: usize,
    bytes_max: usize,
    end: Option<String>,
}

/// The packets of one session on their way to its client.
pub(crate) struct Inbox {
    arrivals: Mutex<Arrivals>,
    arrived: Condvar,
    arrived_async: Notify,
    room: Notify,
}

/// Why there is no packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Nothing {
    /// The session is over, for this reason.
    Ended(String),
    /// None came in time.
    TimedOut,
}

impl Inbox {
    pub fn new(bytes_max: usize) -> Self {
        let arrivals = Arrivals {
            bytes_max,
            ..Arrivals::default()
        };
        Self {
            arrivals: Mutex::new(arrivals),
            arrived: Condvar::new(),
            arrived_async: Notify::new(),
            room: Notify::new(),
        }
    }

    /// From now on at most this many bytes wait, beside one packet.
    pub fn set_limit(&self, bytes_max: usize) {
        self.arrivals.lock().unwrap().bytes_max = bytes_max;
        self.room.notify_one();
    }

    /// Takes a packet when there is room.
    pub async fn deliver(&self, packet: Packet) {
        loop {
            {
                let mut arrivals = self.arrivals.lock().unwrap();
                if arrivals.end.is_some() {
                    return;
                }
                if arrivals.bytes < arrivals.bytes_max {
                    arrivals.bytes += packet.payload.len();
                    arrivals.queue.push_back(packet);
                    break;
                }
            }
            self.room.notified().await;
        }
        self.arrived.notify_all();
        self.arrived_async.notify_one();
    }

    /// Nothing comes any more; what waits can still be taken.
    pub fn end(&self, reason: &str) {
        self.arrivals
            .lock()
            .unwrap()
            .end
            .get_or_insert_with(|| reason.to_owned());
        self.arrived.notify_all();
        self.arrived_async.notify_one();
        self.room.notify_one();
    }

    /// The next packet, waiting for at most so long.
    pub fn take(&self, patience: Duration) -> Result<Packet, Nothing> {
        let deadline = Instant::now() + patience;
        let mut arrivals = self.arrivals.lock().unwrap();
        loop {
            if let Some(packet) = self.pop(&mut arrivals) {
                return Ok(packet);
            }
            if let Some(reason) = &arrivals.end {
                return Err(Nothing::Ended(reason.clone()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Nothing::TimedOut);
            }
            arrivals = self.arrived.wait_timeout(arrivals, left).unwrap().0;
        }
    }

    /// The next packet, or `None` at the end of the session.
    pub async fn next(&self) -> Option<Packet> {
        loop {
            {
                let mut arrivals = self.arrivals.lock().unwrap();
                if let Some(packet) = self.pop(&mut arrivals) {
                    return Some(packet);
                }
                if arrivals.end.is_some() {
                    return None;
                }
            }
            self.arrived_async.notified().await;
        }
    }

    fn pop(&self, arrivals: &mut Arrivals) -> Option<Packet> {
        let packet = arrivals.queue.pop_front()?;
        arrivals.bytes -= packet.payload.len();
        self.room.notify_one();
        Some(packet)
    }
}
