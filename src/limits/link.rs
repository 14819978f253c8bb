//! The link to the gateway: how it is dialled, watched, read and written.

use std::time::Duration;

// -- dialling -------------------------------------------------------------------------------------

/// TCP, TLS and HTTP/2 must stand within this.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Name servers that have not answered for the gateway's name by then leave a line in the log.
pub const LOOKUP_PATIENCE: Duration = Duration::from_secs(10);
const _: () = assert!(LOOKUP_PATIENCE.as_millis() < CONNECT_TIMEOUT.as_millis());

/// One address gets this long before the next one is tried beside it (RFC 8305, section 8).
pub const CONNECT_ATTEMPT: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried side by side: each has two seconds before it is given up for
/// one that was not tried yet.
pub const CONNECTS_AT_ONCE_MAX: usize = 8;

/// Addresses of the gateway that are remembered as having taken a connection and no more.
pub const SUSPECTS_MAX: usize = 16;

/// First and last wait between attempts; the real wait is drawn below it.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// See [`BACKOFF_FIRST`].
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// After a link that lived this long, waits begin with [`BACKOFF_FIRST`] again: a gateway that lets us
/// work in between is not overrun, even if it restarts four times a minute. One that drops us sooner
/// finds us waiting longer each time.
pub const BACKOFF_RESET_AFTER: Duration = Duration::from_secs(10);
/// With a refused key, the wait before the next attempt: somebody has to act first.
pub const BACKOFF_REFUSED: Duration = Duration::from_secs(30);

/// Embedded mode asks at this pace whether somebody waits; the gateway forgets after 5 s.
pub const PRECONNECT_INTERVAL: Duration = Duration::from_secs(4);

const _: () = assert!(CONNECT_ATTEMPT.as_millis() < CONNECT_TIMEOUT.as_millis());
const _: () = assert!(BACKOFF_FIRST.as_millis() < BACKOFF_MAX.as_millis());
const _: () = assert!(BACKOFF_MAX.as_millis() <= BACKOFF_REFUSED.as_millis());
const _: () = assert!(PRECONNECT_INTERVAL.as_millis() < 5000);

// -- signs of life --------------------------------------------------------------------------------

/// The protocol's own keep-alive packet; upstream sends it at this pace.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// No answer to the key check and nothing else received: the link is dead.
pub const LINK_SILENCE_MAX: Duration = Duration::from_secs(15);

/// A key check that is not answered within this is asked anew: a call that hangs must not keep a
/// revoked key alive.
pub const KEY_CHECK_ANSWER_MAX: Duration = Duration::from_secs(15);

/// A gateway that confirms closes and then neither confirms one nor gives credit on the stream for
/// this long has stopped reading it: every session hangs, and only a new link helps. Long, since a client
/// that reads a few kB a second may hold up the gateway's one loop for a while.
pub const GATEWAY_STUCK_MAX: Duration = Duration::from_secs(120);

/// After the sessions were closed by packet, the gateway gets this long to confirm.
pub const FAREWELL_MAX: Duration = Duration::from_secs(1);

const _: () = assert!(LINK_SILENCE_MAX.as_millis() < GATEWAY_STUCK_MAX.as_millis());

// -- reading --------------------------------------------------------------------------------------

/// Credit for the agent's one stream while nobody is under pressure: a 100 ms, 1 Gbit/s path holds
/// 12.5 MB, so this keeps it full.
pub const STREAM_WINDOW: u32 = 16 * 1024 * 1024;

/// Credit outstanding while more than half of the queue budget is used: a neighbour's packet never
/// waits behind more than this.
pub const STREAM_WINDOW_UNDER_PRESSURE: u32 = 256 * 1024;

/// Read from the link's socket at once while it has that much: 16 full TLS records.
pub const LINK_READ_BYTES_MAX: usize = 256 * 1024;

/// Read from a link that has been quiet: any control traffic fits.
pub const LINK_READ_BYTES_MIN: usize = 8 * 1024;

/// Buffers of the link above this size are given back when the link falls silent.
pub const LINK_BUFFER_BYTES_IDLE: usize = 16 * 1024;

const _: () = assert!(STREAM_WINDOW_UNDER_PRESSURE < STREAM_WINDOW);
const _: () = assert!(LINK_READ_BYTES_MIN < LINK_BUFFER_BYTES_IDLE);
const _: () = assert!(LINK_BUFFER_BYTES_IDLE < LINK_READ_BYTES_MAX);

// -- bytes that gather before we read -------------------------------------------------------------

/// Bytes from the gateway may gather before they wake us once they flow this fast for
/// [`GATHER_STRETCH`], in bytes a millisecond; slower ones cost little.
pub const GATHER_BEGIN_RATE: u128 = 8_000;
/// They may gather for as long as they flow this fast.
pub const GATHER_KEEP_RATE: u128 = 2_000;
/// What flows this fast makes each read large by itself.
pub const GATHER_END_RATE: u128 = 128_000;
/// So much ends a wait: two large reads, which at 70 MB/s have gathered after the longest wait.
pub const GATHER_BYTES: usize = 2 * LINK_READ_BYTES_MAX;
/// The rate is taken over this long.
pub const GATHER_STRETCH: Duration = Duration::from_millis(32);
/// A flow that has lasted this many times as long as a wait may be held up by it.
pub const GATHER_AGE_PER_WAIT: u32 = 16;
/// Shortest wait: what the kernel's clock for waits can tell apart.
pub const GATHER_WAIT_MIN: Duration = Duration::from_millis(1);
/// Longest wait: with the rounding of the kernel's clock, 8 ms.
pub const GATHER_WAIT_MAX: Duration = Duration::from_millis(7);
/// After somebody was seen at work, nothing gathers for this long: between two keystrokes of one
/// who types less passes.
pub const GATHER_PAUSE: Duration = Duration::from_millis(250);
/// With less credit than this wanted, the gateway could not send on while bytes gather.
pub const GATHER_CREDIT_MIN: u32 = 4 * 1024 * 1024;
/// A flow from which nothing has come for so long within a wait has stopped. Some kernels tell this
/// time in steps of 4 ms only, so one step says nothing.
pub const GATHER_STOPPED: Duration = Duration::from_millis(5);
/// A target that was sent this much since it last said something answers bulk data; nobody types so
/// much between two echoes.
pub const GATHER_ANSWERED_BYTES: usize = 16 * 1024;

const _: () = assert!(GATHER_KEEP_RATE < GATHER_BEGIN_RATE && GATHER_BEGIN_RATE < GATHER_END_RATE);
const _: () = assert!(GATHER_WAIT_MIN.as_millis() < GATHER_WAIT_MAX.as_millis());
const _: () = assert!(GATHER_WAIT_MAX.as_millis() < GATHER_STRETCH.as_millis());
const _: () = assert!(GATHER_WAIT_MAX.as_millis() < GATHER_PAUSE.as_millis());
const _: () = assert!(GATHER_BYTES < GATHER_CREDIT_MIN as usize);
const _: () = assert!(GATHER_STOPPED.as_millis() < GATHER_WAIT_MAX.as_millis());
const _: () = assert!(GATHER_CREDIT_MIN < STREAM_WINDOW);

// -- writing --------------------------------------------------------------------------------------

/// Encrypted bytes kept ready for the link's socket: enough for one large write, little enough
/// that what is queued behind can still be reordered.
pub const LINK_WRITE_BYTES: usize = 256 * 1024;

/// Answers waiting for the gateway above which no packet is taken and no credit given: a peer that
/// asks without listening gets no further. Its frames are read all the same, since one of them may
/// be the credit that is waited for; what lies in them of packets waits, [`STREAM_WINDOW`] at most.
pub const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Largest payload towards the gateway: fewer, larger packets are what its speed depends on.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// Smallest cap of a payload: bulk data on a slow line must not hold up a keystroke.
pub const PAYLOAD_BYTES_MIN: usize = 16 * 1024;

/// The payload cap follows what the link drained in this time.
pub const PAYLOAD_PERIOD: Duration = Duration::from_millis(5);

const _: () = assert!(PAYLOAD_BYTES_MIN <= PAYLOAD_BYTES_MAX);
const _: () = assert!(PAYLOAD_BYTES_MAX < OUTBOX_BYTES_MAX);
