//! Sessions: how many, what they bring along, what of it is said back.

use std::time::Duration;

// -- counts ---------------------------------------------------------------------------------------

/// Sessions at once.
pub const SESSION_COUNT_MAX: usize = 4096;

/// Heap that the parameters of all sessions take together, for as long as they are open: a session has
/// some kB, one with certificates some hundred, and a message could bring 17 MiB for each of thousands.
pub const SESSIONS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Arguments of one session's command: each takes far more of the heap than it does on the wire.
pub const ARGUMENT_COUNT_MAX: usize = 4096;

/// Variables of one session, its client's included, for the same reason.
pub const VARIABLE_COUNT_MAX: usize = 1024;

/// Files of secrets at once: they may lie in memory (tmpfs), and the gateway decides how many there are.
pub const SECRET_FILE_COUNT_MAX: usize = 4096;

/// Ended session ids remembered, so that late packets are told from unknown ones.
pub const ENDED_SESSIONS_KEPT: usize = 1024;

/// Closed connection ids remembered per session, so that a late packet does not dial again.
pub const CLOSED_CONNECTIONS_KEPT: usize = 64;

/// Length of a session or connection id; upstream's are UUIDs and counters.
pub const ID_BYTES_MAX: usize = 256;

// -- opening --------------------------------------------------------------------------------------

/// A session must be open, or refused, within this: the gateway's fronts wait 5 s.
pub const SESSION_OPEN_TIMEOUT: Duration = Duration::from_millis(4500);

const _: () = assert!(SESSION_OPEN_TIMEOUT.as_millis() < 5000);

// -- what goes back into packets ------------------------------------------------------------------

/// The command as open-OK shows it to the session's user: a screen full.
pub const COMMAND_ECHO_BYTES_MAX: usize = 4 * 1024;

/// The type of a connection as open-OK and sentences name it; hoop's own have 15 characters.
pub const TYPE_ECHO_BYTES_MAX: usize = 64;

/// The port that a client asks for, which open-OK gives back: a number of 16 bits.
pub const PORT_ECHO_DIGITS_MAX: usize = 5;

/// A sentence for a session's user.
pub const ERROR_ECHO_BYTES_MAX: usize = 1024;
