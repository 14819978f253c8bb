//! Relays: their targets, their queues, and who gives way when memory is short.

use std::time::Duration;

use super::http2::H2_DATA_TINY_BYTES;
use super::link::{STREAM_WINDOW, STREAM_WINDOW_UNDER_PRESSURE};

// -- targets --------------------------------------------------------------------------------------

/// Relays at once, of all sessions.
pub const RELAY_COUNT_MAX: usize = 16384;

/// Resolving and connecting for a relay.
pub const TARGET_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// An answered probe waits this long for the session's first connection, whose target it then is. A program
/// connects within a round trip; a server that serves one at a time must not be kept from others for longer.
pub const PROBE_KEPT_MAX: Duration = Duration::from_secs(2);

/// What a server that speaks first may have said by then; the rest stays with the kernel. Greetings are shorter.
pub const PROBE_BYTES_MAX: usize = 2048;

/// An errand, a query's cancel request for one, is over within this: nobody waits for it.
pub const ERRAND_MAX: Duration = Duration::from_secs(2);

/// Errands at once beside the relays, a user three quarters of them, and each of his sessions three quarters of
/// those; beyond these, what they were to stop goes on.
pub const ERRAND_COUNT_MAX: usize = 64;
/// See [`ERRAND_COUNT_MAX`].
pub const ERRAND_COUNT_OF_SESSION_MAX: usize = ERRAND_COUNT_MAX * 9 / 16;

/// Connections at once for which there was no room among the relays: each may say what it wants, which may be the
/// end of another's query, and is refused in its own words.
pub const WAITING_COUNT_MAX: usize = 64;

/// Bytes that may wait unsent in the kernel for one target: more would hide that it has stalled.
pub const TARGET_UNSENT_BYTES: u32 = 128 * 1024;

/// TCP keep-alive to targets: the first probe comes well before NATs and firewalls forget a flow
/// (240 s and more), and a target that answers none of the probes is gone.
pub const TARGET_PROBE_AFTER: Duration = Duration::from_secs(15);
/// See [`TARGET_PROBE_AFTER`].
pub const TARGET_PROBE_EVERY: Duration = Duration::from_secs(15);
/// See [`TARGET_PROBE_AFTER`].
pub const TARGET_PROBES_MAX: usize = 9;
/// The time that all this takes, which a target also has to acknowledge bytes.
pub const TARGET_SILENCE_MAX: Duration = Duration::from_secs(150);

/// After its client left, a target may read what is still queued and say goodbye for this long
/// without progress.
pub const LINGER_MAX: Duration = Duration::from_secs(10);

/// In that time so much of what it says is read and forgotten once it has everything: more than both kernels hold,
/// so that a server which hears of its client's end can say so. Who says more waits until the time is over.
pub const LINGER_DISCARD_MAX: usize = 16 * 1024 * 1024;

/// In between, what the kernel holds for it is looked at this often.
pub const LINGER_LOOK: Duration = Duration::from_millis(2500);

const _: () = assert!(
    TARGET_PROBE_AFTER.as_secs() + TARGET_PROBE_EVERY.as_secs() * TARGET_PROBES_MAX as u64
        == TARGET_SILENCE_MAX.as_secs()
);
const _: () = assert!(LINGER_LOOK.as_millis() * 2 < LINGER_MAX.as_millis());
const _: () = assert!(ERRAND_COUNT_OF_SESSION_MAX < ERRAND_COUNT_MAX * 3 / 4);

// -- queues ---------------------------------------------------------------------------------------

/// Bytes waiting for all targets together.
pub const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A queue keeps its memory for this long after it was last needed: giving it back between two
/// packets would cost more than relaying them.
pub const QUEUE_IDLE_AFTER: Duration = Duration::from_secs(1);

/// A payload from here on goes to its target's queue in the buffer that it came in: to copy less costs
/// less than to exchange buffers.
pub const KEPT_PAYLOAD_BYTES_MIN: usize = 16 * 1024;

/// Pieces of queues (64 KiB each) kept between two uses while there is traffic: a target that is
/// behind by less costs no allocation.
pub const QUEUE_PIECES_KEPT: usize = 32;

const _: () = assert!(STREAM_WINDOW as usize <= QUEUE_BYTES_MAX / 2);

// -- pressure -------------------------------------------------------------------------------------

/// Under pressure a relay that holds more than this must make progress.
pub const STALLED_BYTES_MAX: usize = 1024 * 1024;

/// How long a target may take no byte while others wait for the memory that it holds.
pub const STALL_MAX: Duration = Duration::from_secs(3);

/// Under pressure the relays are looked at this often.
pub const PRESSURE_TICK: Duration = Duration::from_millis(25);

/// Looks further apart do not show that nothing moved in between: pressure had ended, or we slept.
pub const LOOK_GAP_MAX: Duration = Duration::from_secs(1);

/// Under pressure a gateway that lacks credit gets some this often: the longer it has none, the
/// more of its senders wait at once, and its library may forget all but one of them.
pub const CREDIT_TICK: Duration = Duration::from_millis(2);

/// Less credit than this is not given under pressure: the gateway would answer with frames of a few
/// bytes, which we take for a flood.
pub const CREDIT_PORTION_MIN: usize = 2 * 1024;

/// When pressure begins, an eighth of what is left of the budget is given at a rate that would use
/// it up in this time: 64 MiB a second at first, so that a sender waits for a millisecond.
pub const PRESSURE_RUSH: Duration = Duration::from_millis(32);

const _: () = assert!(STALLED_BYTES_MAX < QUEUE_BYTES_MAX / 2);
const _: () = assert!(TARGET_UNSENT_BYTES as usize <= STALLED_BYTES_MAX);
const _: () = assert!(PRESSURE_TICK.as_millis() * 2 < LOOK_GAP_MAX.as_millis());
const _: () = assert!(LOOK_GAP_MAX.as_millis() < STALL_MAX.as_millis());
const _: () = assert!(CREDIT_TICK.as_millis() < PRESSURE_TICK.as_millis());
const _: () = assert!(PRESSURE_RUSH.as_millis() < STALL_MAX.as_millis());
const _: () = assert!(CREDIT_PORTION_MIN < STREAM_WINDOW_UNDER_PRESSURE as usize);
const _: () = assert!(CREDIT_PORTION_MIN > H2_DATA_TINY_BYTES as usize);
