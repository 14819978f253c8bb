//! Logins to databases (`login`).

use std::time::Duration;

// -- any dialect ----------------------------------------------------------------------------------

/// A login waits for a server's next word for this long.
pub const LOGIN_SERVER_TIMEOUT: Duration = Duration::from_secs(15);

/// A client's first message must be whole within this.
pub const LOGIN_CLIENT_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of its client that a login holds: what a driver sends ahead of the server's answer.
pub const LOGIN_CLIENT_BYTES_MAX: usize = 64 * 1024;

/// One message of a server that a login must have whole; all of them are far shorter.
pub const LOGIN_SERVER_MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Bytes that a login reads of its server at once: what it holds of them when it is done goes to the client in
/// one call.
pub const LOGIN_READ_BYTES: usize = 16 * 1024;

/// Bytes of a server that a login holds: it may talk while nobody listens.
pub const LOGIN_SERVER_BYTES_MAX: usize = LOGIN_SERVER_MESSAGE_BYTES_MAX + LOGIN_READ_BYTES;

/// Bytes that a login may have for its client while the link has no room: all that servers say before their
/// client is in. Beyond it, it waits like a relay.
pub const LOGIN_SAID_BYTES_MAX: usize = 64 * 1024;

/// A login waits for its server's words for this long in all, so that one who says a byte now and then ends, too.
pub const LOGIN_MAX: Duration = Duration::from_secs(60);

/// Bytes that a login sends to its server: a startup message, a password, TLS's handshakes; a tenth of it does. What
/// a server does not read waits in its queue.
pub const LOGIN_SENT_BYTES_MAX: usize = 256 * 1024;

/// Text of a server's error that has no length word, or that goes into a sentence of ours.
pub const LOGIN_ERROR_TEXT_BYTES_MAX: usize = 1024;

const _: () = assert!(LOGIN_ERROR_TEXT_BYTES_MAX < LOGIN_SERVER_MESSAGE_BYTES_MAX);

// -- PostgreSQL -----------------------------------------------------------------------------------

/// A PostgreSQL client's first message; the server's own limit.
pub const POSTGRES_STARTUP_BYTES_MAX: usize = 10_000;

/// A PostgreSQL server's error during the login; above it, libpq takes the length for text.
pub const POSTGRES_ERROR_BYTES_MAX: usize = 30_000;

/// Questions for encryption that a PostgreSQL client may ask; libpq asks two. Each is answered in a packet.
pub const POSTGRES_QUESTIONS_MAX: u8 = 16;

/// The secret of a cancel request: 4 bytes before PostgreSQL's protocol 3.2, which allows this many.
pub const CANCEL_KEY_BYTES_MAX: usize = 256;

const _: () = assert!(POSTGRES_STARTUP_BYTES_MAX <= LOGIN_CLIENT_BYTES_MAX);
const _: () = assert!(POSTGRES_ERROR_BYTES_MAX <= LOGIN_SERVER_MESSAGE_BYTES_MAX);

// -- MongoDB --------------------------------------------------------------------------------------

/// Hosts of a connection string, and hosts that one connection tries: a replica set has seven voters and up to
/// fifty members.
pub const MONGO_HOSTS_MAX: usize = 16;

/// A host that is not the last has to answer within this, its look-up and its TLS included, so that the next one's
/// turn comes before the driver's own patience ends (10 s and more).
pub const MONGO_HOST_TIMEOUT: Duration = Duration::from_secs(4);

/// The largest message that a client is told of. hoop's takes 16 MiB on the way to a server, which takes 48 MB; a
/// server fills an answer up to 16 MiB of documents and adds some three hundred bytes, and drivers hold answers to this,
/// too. Writes may come to be that little too large for hoop's client, so the less is added the better.
pub const MONGO_MESSAGE_BYTES_MAX: i32 = (16 << 20) + 512;

/// Writes that a client is told to put into one message; servers take 100,000. Small documents then never fill a message
/// to those last bytes, which hoop's client would not take: a document that does has 16 kB at least.
pub const MONGO_WRITES_MAX: i32 = 1000;

/// Rounds that a MongoDB server asks for at least; drivers refuse fewer.
pub const MONGO_ROUNDS_MIN: u32 = 4096;

// -- SQL Server -----------------------------------------------------------------------------------

/// The options in a SQL Server client's PRELOGIN: one packet, of which they take a fiftieth.
pub const MSSQL_PRELOGIN_BYTES_MAX: usize = 4096;

const _: () = assert!(MSSQL_PRELOGIN_BYTES_MAX <= LOGIN_CLIENT_BYTES_MAX);

// -- SCRAM ----------------------------------------------------------------------------------------

/// Rounds in one turn of all key derivations together: 0.5 ms, a tenth of what a neighbour may notice (5 ms).
pub const SCRAM_ROUNDS_PER_TURN: u32 = 1024;

/// Rounds of one derivation before it is another's turn.
pub const SCRAM_ROUNDS_AT_ONCE: u32 = 512;

/// What a round takes at least. Who waits for a key looks again when half of this has passed for each round that is
/// ahead of it, so that thousands who wait cost no turn.
pub const SCRAM_ROUND_NANOS: u64 = 300;

/// Rounds that a server may ask for; PostgreSQL's default is 4,096.
pub const SCRAM_ROUNDS_MAX: u32 = 1_000_000;

/// Keys of finished derivations kept: one an account, and a connection has one.
pub const SCRAM_KEYS_KEPT: usize = 64;

/// One message of a SCRAM conversation; nonce, salt and number come to 100 bytes.
pub const SCRAM_MESSAGE_BYTES_MAX: usize = 4096;

/// Rounds that a client of ours is asked for; drivers refuse fewer, and its password is no secret.
pub const SCRAM_CLIENT_ROUNDS: u32 = 4096;

const _: () = assert!(SCRAM_ROUNDS_AT_ONCE < SCRAM_ROUNDS_PER_TURN);
const _: () = assert!(SCRAM_ROUNDS_PER_TURN < SCRAM_ROUNDS_MAX);
const _: () = assert!(SCRAM_MESSAGE_BYTES_MAX <= LOGIN_SERVER_MESSAGE_BYTES_MAX);

// -- RSA keys of MySQL servers -------------------------------------------------------------------

/// An RSA key that a MySQL server shows must not be a toy: 1,024 bits.
pub const RSA_MODULUS_BYTES_MIN: usize = 128;

/// Nor more work than a millisecond: 4,096 bits; a server makes 2,048 by itself.
pub const RSA_MODULUS_BYTES_MAX: usize = 512;

/// The exponent that every server's key has. A larger one costs up to three times the work.
pub const RSA_EXPONENT_MAX: u32 = 65_537;
