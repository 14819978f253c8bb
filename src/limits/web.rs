//! Web services (`web`).

use std::time::Duration;

/// A head of a request or an answer: cookies of single sign-on alone are 8 to 30 KB.
pub const WEB_HEAD_BYTES_MAX: usize = 64 * 1024;

/// Fields of a head; servers allow 100 to 200.
pub const WEB_FIELDS_MAX: usize = 256;

/// Headers that a connection injects.
pub const WEB_INJECTED_MAX: usize = 64;

/// A URL under which the user sees the service: a host name has 253 bytes.
pub const WEB_VIEW_BYTES_MAX: usize = 512;

/// Interim (1xx) answers before the final one; a service has two reasons to send some.
pub const WEB_INTERIM_MAX: u8 = 8;

/// What a client may send behind a whole request while that is not answered: some pages of pipelined
/// requests, or what it says before a protocol is switched.
pub const WEB_AHEAD_BYTES_MAX: usize = 1024 * 1024;

/// The gateway's listener cuts a request into slices of exactly this size, counted from its first byte.
pub const WEB_SLICE_BYTES: usize = 4 * 1024 * 1024;

/// The client sends what one read of its socket gave.
pub const WEB_CLIENT_PACKET_BYTES_MAX: usize = 32 * 1024;

/// A body whose end is known only when it has come is kept for its length; a larger one goes on in chunks.
pub const WEB_UNFRAMED_BYTES_MAX: usize = 2 * WEB_SLICE_BYTES;

/// Such a body that ends with a full slice is over when nothing follows for this long. Happens to one
/// upload of four million, and a slow line needs many seconds for a slice, so it is long.
pub const WEB_UNFRAMED_SILENCE_MAX: Duration = Duration::from_secs(30);

/// The listener needs a length: an answer without one is held back for it for this long,
pub const WEB_HOLD_MAX: Duration = Duration::from_secs(1);
/// (one of a cluster that nobody follows, which is of no use before its end and looks like an error without a length, for
/// longer: kubectl itself waits for 30 s)
pub const WEB_HOLD_CLUSTER_MAX: Duration = Duration::from_secs(15);
/// or for so many bytes.
pub const WEB_HOLD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes that all answers of the agent hold back; when they are reached, answers are sent as they come.
pub const WEB_HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The listener drops what comes beyond 100 packets that wait for a slow user: a body goes in so many,
pub const WEB_PACKETS_PER_BODY: usize = 64;
/// none larger than this: the gateway takes messages of 17 MiB.
pub const WEB_PACKET_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The length that the listener is told of an answer without end: what JavaScript can still count.
pub const WEB_ENDLESS_BYTES: u64 = 9_007_199_254_740_991;

/// A body of known length that trickles is sent on at this pace: the first 16 packets that only time
/// asks for,
pub const WEB_TRICKLE_FIRST: Duration = Duration::from_millis(100);
/// the 16 after them,
pub const WEB_TRICKLE_THEN: Duration = Duration::from_secs(1);
/// and the others. The listener gives up after 60 s.
pub const WEB_TRICKLE_LAST: Duration = Duration::from_secs(5);

/// Packets of an endless answer are this far apart, so that a burst is one.
pub const WEB_LIVE_PAUSE: Duration = Duration::from_millis(20);
/// Of what comes faster, more gathers: for this long
pub const WEB_BULK_PAUSE: Duration = Duration::from_millis(500);
/// from so many bytes on
pub const WEB_BULK_BYTES_MIN: usize = 64 * 1024;
/// up to so many.
pub const WEB_BULK_PACKET_BYTES: usize = 4 * 1024 * 1024;

/// By the listener nobody announces that the user of a switched connection is gone, and the gateway cuts
/// it after 60 s without a byte of the user.
pub const WEB_USER_SILENCE_MAX: Duration = Duration::from_secs(75);

/// A connection to a service is kept this long for the next request: many services close theirs after 5 s.
pub const WEB_KEPT_MAX: Duration = Duration::from_secs(4);
/// One that its client has logged in (NTLM, Negotiate) stays longer: to lose it is to lose the login.
pub const WEB_KEPT_LOGIN_MAX: Duration = Duration::from_secs(300);
/// Connections of the listener's sessions that are kept at once: each is a descriptor for 4 s.
pub const WEB_KEPT_COUNT_MAX: usize = 256;
/// Of one session: browsers open six to a place, and a page may have come from some of them at once.
pub const WEB_KEPT_BY_SESSION_MAX: usize = 16;

/// The token of the agent's pod is looked at again after so long: Kubernetes replaces it some minutes before it
/// expires.
pub const WEB_ACCOUNT_KEPT: Duration = Duration::from_secs(1);

/// A bearer token of a cluster; a service account's has some kB.
pub const WEB_TOKEN_BYTES_MAX: usize = 32 * 1024;

const _: () = assert!(WEB_PACKET_BYTES_MAX + WEB_HEAD_BYTES_MAX < 17 * 1024 * 1024);
const _: () = assert!(WEB_KEPT_BY_SESSION_MAX <= WEB_KEPT_COUNT_MAX);
const _: () = assert!(WEB_HOLD_MAX.as_secs() < WEB_HOLD_CLUSTER_MAX.as_secs());
const _: () = assert!(WEB_HOLD_BYTES_MAX <= WEB_HELD_BYTES_MAX);
const _: () = assert!(WEB_CLIENT_PACKET_BYTES_MAX < WEB_SLICE_BYTES);
const _: () = assert!(WEB_USER_SILENCE_MAX.as_secs() > 60 && WEB_TRICKLE_LAST.as_secs() < 60);
