//! How a client hears that its session is over.

use crate::base::plain::{cut, plain};
use crate::limits;
use crate::packet::{Kind, Outbox, spec};

/// Exit code of everything that went wrong before or beside the command (upstream's
/// `internalExitCode`).
pub const EXIT_INTERNAL: u16 = 254;

/// The one close packet of a session; of a long text it has the beginning.
pub(super) fn send_close(outbox: &mut Outbox, id: &str, code: u16, text: &str) {
    let code = code.to_string();
    // Names of hosts and programs stand in it, and it comes to its reader's terminal as it is.
    let text = plain(text);
    let text = cut(text.as_bytes(), limits::ERROR_ECHO_BYTES_MAX);
    let entries = [
        (spec::SESSION_ID, id.as_bytes()),
        (spec::EXIT_CODE, code.as_bytes()),
    ];
    outbox.push(Kind::ClientSessionClose, &entries, &text);
}
