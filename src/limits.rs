//! Every bound of the program, with its reason. Nothing that a peer can make us remember is
//! without a constant here or, where only one file needs it, in that file.

use std::time::Duration;

// -- the link ------------------------------------------------------------------------------------

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

/// Encrypted bytes kept ready for the link's socket: enough for one large write, little enough
/// that what is queued behind can still be reordered.
pub const LINK_WRITE_BYTES: usize = 256 * 1024;

/// Answers waiting for the gateway above which no packet is taken and no credit given: a peer that
/// asks without listening gets no further. Its frames are read all the same, since one of them may
/// be the credit that is waited for; what lies in them of packets waits, [`STREAM_WINDOW`] at most.
pub const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The command as open-OK shows it to the session's user: a screen full.
pub const COMMAND_ECHO_BYTES_MAX: usize = 4 * 1024;

/// The type of a connection as open-OK and sentences name it; hoop's own have 15 characters.
pub const TYPE_ECHO_BYTES_MAX: usize = 64;

/// The port that a client asks for, which open-OK gives back: a number of 16 bits.
pub const PORT_ECHO_DIGITS_MAX: usize = 5;

/// A sentence for a session's user.
pub const ERROR_ECHO_BYTES_MAX: usize = 1024;

/// Buffers of the link above this size are given back when the link falls silent.
pub const LINK_BUFFER_BYTES_IDLE: usize = 16 * 1024;

/// Largest payload towards the gateway: fewer, larger packets are what its speed depends on.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;

/// Smallest cap of a payload: bulk data on a slow line must not hold up a keystroke.
pub const PAYLOAD_BYTES_MIN: usize = 16 * 1024;

/// The payload cap follows what the link drained in this time.
pub const PAYLOAD_PERIOD: Duration = Duration::from_millis(5);

/// TCP, TLS and HTTP/2 must stand within this.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// One address gets this long before the next one is tried beside it (RFC 8305, section 8).
pub const CONNECT_ATTEMPT: Duration = Duration::from_millis(250);

/// Addresses of one name that are tried side by side: each has two seconds before it is given up for
/// one that was not tried yet.
pub const CONNECTS_AT_ONCE_MAX: usize = 8;

/// Addresses of the gateway that are remembered as having taken a connection and no more.
pub const SUSPECTS_MAX: usize = 16;

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

/// Embedded mode asks at this pace whether somebody waits; the gateway forgets after 5 s.
pub const PRECONNECT_INTERVAL: Duration = Duration::from_secs(4);

/// First and last wait between attempts; the real wait is drawn below it.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(500);
/// See [`BACKOFF_FIRST`].
pub const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A link that lived this long starts the back-off anew: a gateway that restarts every quarter of
/// an hour or every quarter of a minute is not the crowd that the back-off is for, and one that
/// accepts and drops us at once still gets one attempt in this time.
pub const BACKOFF_RESET_AFTER: Duration = Duration::from_secs(10);
/// A refused key is tried again this seldom: somebody has to act first.
pub const BACKOFF_REFUSED: Duration = Duration::from_secs(30);

/// After the sessions were closed by packet, the gateway gets this long to confirm.
pub const FAREWELL_MAX: Duration = Duration::from_secs(1);

// -- sessions and relays -------------------------------------------------------------------------

/// Sessions at once.
pub const SESSION_COUNT_MAX: usize = 4096;

/// Heap that the parameters of all sessions take together, for as long as they are open: a session has
/// some kB, one with certificates some hundred, and a message could bring 17 MiB for each of thousands.
pub const SESSIONS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Arguments of one session's command: each takes far more of the heap than it does on the wire.
pub const ARGUMENT_COUNT_MAX: usize = 4096;

/// Variables of one session, its client's included, for the same reason.
pub const VARIABLE_COUNT_MAX: usize = 1024;

/// Processes at once that sessions have started.
pub const PROCESS_COUNT_MAX: usize = 1024;

/// Sessions whose processes are being ended: when there are more, the earliest is made to end at once.
pub const ENDING_COUNT_MAX: usize = PROCESS_COUNT_MAX;

/// Guardians that live on for what has detached itself, when no more of it is spared.
pub const LEFT_COUNT_MAX: usize = 256;

/// Children at once: guardians of sessions that run, end and are left behind, and the program beside
/// us. Each costs two pids, a descriptor or four and a look at every SIGCHLD; the processes themselves
/// are far dearer than that.
pub const CHILD_COUNT_MAX: usize = PROCESS_COUNT_MAX + ENDING_COUNT_MAX + LEFT_COUNT_MAX + 1;

/// Files of secrets at once: they may lie in memory (tmpfs), and the gateway decides how many there are.
pub const SECRET_FILE_COUNT_MAX: usize = 4096;

/// Relays at once, of all sessions.
pub const RELAY_COUNT_MAX: usize = 16384;

/// Bytes waiting for all targets together.
pub const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Under pressure a relay that holds more than this must make progress.
pub const STALLED_BYTES_MAX: usize = 1024 * 1024;

/// Under pressure the relays are looked at this often.
pub const PRESSURE_TICK: Duration = Duration::from_millis(25);

/// Under pressure a gateway that lacks credit gets some this often: the longer it has none, the
/// more of its senders wait at once, and its library may forget all but one of them.
pub const CREDIT_TICK: Duration = Duration::from_millis(2);

/// Less credit than this is not given under pressure: the gateway would answer with frames of a few
/// octets, which we take for a flood.
pub const CREDIT_PORTION_MIN: usize = 2 * 1024;

/// When pressure begins, an eighth of what is left of the budget is given at a rate that would use
/// it up in this time: 64 MiB a second at first, so that a sender waits for a millisecond.
pub const PRESSURE_RUSH: Duration = Duration::from_millis(32);

/// Looks further apart do not show that nothing moved in between: pressure had ended, or we slept.
pub const LOOK_GAP_MAX: Duration = Duration::from_secs(1);

/// How long a target may take no byte while others wait for the memory that it holds.
pub const STALL_MAX: Duration = Duration::from_secs(3);

/// A queue keeps its memory for this long after it was last needed: giving it back between two
/// packets would cost more than relaying them.
pub const QUEUE_IDLE_AFTER: Duration = Duration::from_secs(1);

/// A payload from here on goes to its target's queue in the buffer that it came in: to copy less costs
/// less than to exchange buffers.
pub const KEPT_PAYLOAD_BYTES_MIN: usize = 16 * 1024;

/// Pieces of queues (64 KiB each) kept between two uses while there is traffic: a target that is
/// behind by less costs no allocation.
pub const QUEUE_PIECES_KEPT: usize = 32;

/// A session must be open, or refused, within this: the gateway's fronts wait 5 s.
pub const SESSION_OPEN_TIMEOUT: Duration = Duration::from_millis(4500);

/// An answered probe waits this long for the session's first connection, whose target it then is. A program
/// connects within a round trip; a server that serves one at a time must not be kept from others for longer.
pub const PROBE_KEPT_MAX: Duration = Duration::from_secs(2);

/// What a server that speaks first may have said by then; the rest stays with the kernel. Greetings are shorter.
pub const PROBE_BYTES_MAX: usize = 2048;

/// An errand, a query's cancel request for one, is over within this: nobody waits for it.
pub const ERRAND_MAX: Duration = Duration::from_secs(2);

/// Errands at once; beyond these, what they were to stop goes on.
pub const ERRAND_COUNT_MAX: usize = 64;

/// Bytes that may wait unsent in the kernel for one target: more would hide that it has stalled.
pub const TARGET_UNSENT_BYTES: u32 = 128 * 1024;

/// Resolving and connecting for a relay.
pub const TARGET_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

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

/// In between, what the kernel holds for it is looked at this often.
pub const LINGER_LOOK: Duration = Duration::from_millis(2500);

/// Output of a command whose leader has ended is over when nothing came for this long, though the
/// link had room: a background child may hold the pipe for ever.
pub const OUTPUT_SILENCE_MAX: Duration = Duration::from_secs(2);

/// Such output goes on for this long at most, time without room not counted: a background child may
/// also print for ever.
pub const OUTPUT_AFTER_EXIT_MAX: Duration = Duration::from_secs(60);

/// After a normal end, until anybody is asked: a job that the last line put into the background has
/// not come to its `nohup` or `setsid` yet.
pub const DETACH_GRACE: Duration = Duration::from_millis(500);

/// Between the polite and the last signal to a session's processes.
pub const KILL_GRACE: Duration = Duration::from_secs(5);

/// The same when the gateway has revoked the key: everything must have ended within 100 ms.
pub const REVOKED_GRACE: Duration = Duration::from_millis(40);

/// Closed connection ids remembered per session, so that a late packet does not dial again.
pub const CLOSED_CONNECTIONS_KEPT: usize = 64;

/// Ended session ids remembered, so that late packets are told from unknown ones.
pub const ENDED_SESSIONS_KEPT: usize = 1024;

/// Length of a session or connection id; upstream's are UUIDs and counters.
pub const ID_BYTES_MAX: usize = 256;

/// Bytes read from one target in one go before the next one's turn.
pub const READ_BYTES_PER_TURN: usize = PAYLOAD_BYTES_MAX;

// -- logins (`login`) ----------------------------------------------------------------------------

/// A login waits for a server's next word for this long.
pub const LOGIN_SERVER_TIMEOUT: Duration = Duration::from_secs(15);

/// A client's first message must be whole within this.
pub const LOGIN_CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of its client that a login holds: what a driver sends ahead of the server's answer.
pub const LOGIN_CLIENT_BYTES_MAX: usize = 64 * 1024;

/// Bytes that a login may have for its client while the link has no room: all that servers say before their
/// client is in. Beyond it, it waits like a relay.
pub const LOGIN_SAID_BYTES_MAX: usize = 64 * 1024;

/// Bytes that a login reads of its server at once: what it holds of them when it is done goes to the client in
/// one call.
pub const LOGIN_READ_BYTES: usize = 16 * 1024;

/// One message of a server that a login must have whole; all of them are far shorter.
pub const LOGIN_SERVER_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a server that a login holds: it may talk while nobody listens.
pub const LOGIN_SERVER_BYTES_MAX: usize = LOGIN_SERVER_MESSAGE_BYTES_MAX + LOGIN_READ_BYTES;

/// A PostgreSQL client's first message; the server's own limit.
pub const POSTGRES_STARTUP_BYTES_MAX: usize = 10_000;

/// A PostgreSQL server's error during the login; above it, libpq takes the length for text.
pub const POSTGRES_ERROR_BYTES_MAX: usize = 30_000;

/// Text of a server's error that has no length word, or that goes into a sentence of ours.
pub const LOGIN_ERROR_TEXT_BYTES_MAX: usize = 1024;

/// The secret of a cancel request: 4 bytes before PostgreSQL's protocol 3.2, which allows this many.
pub const CANCEL_KEY_BYTES_MAX: usize = 256;

/// Rounds of a key derivation in one turn: 0.2 ms, so that no neighbour notices.
pub const SCRAM_ROUNDS_PER_TURN: u32 = 512;

/// Rounds that a server may ask for; PostgreSQL's default is 4,096.
pub const SCRAM_ROUNDS_MAX: u32 = 1_000_000;

/// Keys of finished derivations kept: one an account, and a connection has one.
pub const SCRAM_KEYS_KEPT: usize = 64;

/// An RSA key that a MySQL server shows must not be a toy: 1,024 bits.
pub const RSA_MODULUS_BYTES_MIN: usize = 128;

/// Nor more work than a millisecond: 4,096 bits; a server makes 2,048 by itself.
pub const RSA_MODULUS_BYTES_MAX: usize = 512;

/// One message of a SCRAM conversation; nonce, salt and number come to 100 bytes.
pub const SCRAM_MESSAGE_BYTES_MAX: usize = 4096;

// -- web services (`web`) ------------------------------------------------------------------------

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
/// Connections kept for one session of the listener: a browser has six.
pub const WEB_KEPT_PER_SESSION_MAX: usize = 8;

/// A bearer token of a cluster; a service account's has some kB.
pub const WEB_TOKEN_BYTES_MAX: usize = 32 * 1024;

// -- relations -----------------------------------------------------------------------------------

const _: () = assert!(PAYLOAD_BYTES_MIN <= PAYLOAD_BYTES_MAX);
const _: () = assert!(WEB_PACKET_BYTES_MAX + WEB_HEAD_BYTES_MAX < 17 * 1024 * 1024);
const _: () = assert!(WEB_HOLD_BYTES_MAX <= WEB_HELD_BYTES_MAX);
const _: () = assert!(WEB_CLIENT_PACKET_BYTES_MAX < WEB_SLICE_BYTES);
const _: () = assert!(WEB_USER_SILENCE_MAX.as_secs() > 60 && WEB_TRICKLE_LAST.as_secs() < 60);
const _: () = assert!(STREAM_WINDOW as usize <= QUEUE_BYTES_MAX / 2);
const _: () = assert!(STREAM_WINDOW_UNDER_PRESSURE < STREAM_WINDOW);
const _: () = assert!(SESSION_OPEN_TIMEOUT.as_millis() < 5000);
const _: () = assert!(OUTPUT_SILENCE_MAX.as_millis() < OUTPUT_AFTER_EXIT_MAX.as_millis());
const _: () = assert!(REVOKED_GRACE.as_millis() < KILL_GRACE.as_millis());
const _: () = assert!(PRESSURE_TICK.as_millis() * 2 < LOOK_GAP_MAX.as_millis());
const _: () = assert!(CREDIT_TICK.as_millis() < PRESSURE_TICK.as_millis());
const _: () = assert!(PRESSURE_RUSH.as_millis() < STALL_MAX.as_millis());
const _: () = assert!(LINGER_LOOK.as_millis() * 2 < LINGER_MAX.as_millis());
const _: () = assert!(GATHER_KEEP_RATE < GATHER_BEGIN_RATE && GATHER_BEGIN_RATE < GATHER_END_RATE);
const _: () = assert!(GATHER_WAIT_MIN.as_millis() < GATHER_WAIT_MAX.as_millis());
const _: () = assert!(GATHER_BYTES < GATHER_CREDIT_MIN as usize);
const _: () = assert!(
    TARGET_PROBE_AFTER.as_secs() + TARGET_PROBE_EVERY.as_secs() * TARGET_PROBES_MAX as u64
        == TARGET_SILENCE_MAX.as_secs()
);
const _: () = assert!(LINK_READ_BYTES_MIN < LINK_BUFFER_BYTES_IDLE);
const _: () = assert!(LINK_BUFFER_BYTES_IDLE < LINK_READ_BYTES_MAX);

/// Bytes of one HTTP response body that `admin` accepts: some ten thousand agents in a list.
pub const ADMIN_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one HTTP response head; a renewed token and cookies fit several times.
pub const ADMIN_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Header lines of one HTTP response.
pub const ADMIN_HEADERS_MAX: usize = 64;

/// Configurations of TLS that are kept ready: one for each set of authorities in use, of some
/// ten kilobytes.
pub const TLS_CONFIGURATIONS_MAX: usize = 16;

// HTTP/2 and gRPC (`h2`, `grpc`)

/// Largest frame payload we take: the protocol's default and least value (RFC 9113 section 4.2).
/// grpc-go never sends larger ones, so asking for more would only cost memory.
pub const H2_FRAME_BYTES_MAX: u32 = 16_384;
/// Largest decoded header list in RFC 9113 section 6.5.2 units; a status message fits many times.
pub const H2_HEADER_LIST_BYTES_MAX: u32 = 16_384;
/// Fields of one header list: each may copy a table entry for one octet of ours (HPACK bombs).
pub const H2_HEADER_FIELDS_MAX: usize = 128;
/// Encoded octets of one header block: twice the list, since Huffman may also lengthen a text.
pub const H2_HEADER_BLOCK_BYTES_MAX: usize = 2 * H2_HEADER_LIST_BYTES_MAX as usize;
/// CONTINUATION frames of one header block; a list within bounds needs two of full size.
pub const H2_CONTINUATIONS_MAX: u32 = 8;
/// HPACK dynamic table that the gateway may fill: the protocol's default.
pub const H2_TABLE_BYTES_MAX: u32 = 4096;
/// Table size updates in front of one block: the least and the final size (RFC 7541 section 4.2).
pub const H2_TABLE_UPDATES_MAX: usize = 2;
/// Entries of one SETTINGS frame; six are defined.
pub const H2_SETTINGS_ENTRIES_MAX: usize = 64;
/// Frames a second that nothing of ours explains and that carry no data: PING, SETTINGS,
/// RST_STREAM, WINDOW_UPDATE, empty or tiny DATA, unknown ones, frames for closed streams.
pub const H2_NUISANCES_PER_SECOND_MAX: u32 = 200;
/// Such frames that real traffic has earned and that may still come, in one burst even.
pub const H2_NUISANCES_EARNED_MAX: u32 = 65_536;
/// Such frames earned by one DATA frame of ours: a WINDOW_UPDATE for stream and connection, and
/// the PING and SETTINGS with which grpc-go measures and widens its window.
pub const H2_NUISANCES_PER_DATA_SENT: u32 = 4;
/// DATA below this is tiny: no gRPC message of the gateway is that short, only tails of some are.
pub const H2_DATA_TINY_BYTES: u32 = 16;
/// PINGs and SETTINGS waiting for our answer while our output is blocked; the gateway has one of
/// each under way.
pub const H2_ACKS_MAX: usize = 16;
/// Streams of ours at a time: the one of packets, the key check, and some being torn down.
pub const H2_STREAMS_MAX: usize = 16;
/// Streams reset by us that are remembered, because frames for them may still be under way.
pub const H2_STREAMS_RESET_MAX: usize = 32;
/// Informational (1xx) responses of one stream.
pub const H2_INFORMATIONAL_MAX: u8 = 8;
/// Debug data of a GOAWAY that is kept: enough for `too_many_pings` and a sentence.
pub const H2_DEBUG_BYTES_MAX: usize = 256;
/// Above this the connection adds no answers to its control output; they stay counters.
pub const H2_CONTROL_BYTES_HIGH: usize = 4096;

const _: () = assert!(H2_HEADER_BLOCK_BYTES_MAX <= 9 * H2_FRAME_BYTES_MAX as usize);
const _: () = assert!(H2_TABLE_BYTES_MAX <= u16::MAX as u32);

/// One gRPC message of the gateway: its own limit of 17 MiB, and some more because it adds to
/// what a client sent (gateway protocol 1.3).
pub const GRPC_MESSAGE_BYTES_MAX: usize = 17 * 1024 * 1024 + 64 * 1024;
/// Reassembly memory kept between messages; clients send 32 KiB payloads.
pub const GRPC_REASSEMBLY_KEEP_BYTES: usize = 256 * 1024;
/// Text of a status that is kept, in octets.
pub const GRPC_STATUS_MESSAGE_BYTES_MAX: usize = 1024;
