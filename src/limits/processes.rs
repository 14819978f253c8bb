//! Processes of sessions: how many, and how long they have to end.

use std::time::Duration;

use super::sessions::SESSION_COUNT_MAX;

// -- counts ---------------------------------------------------------------------------------------

/// Processes at once that sessions have started.
pub const PROCESS_COUNT_MAX: usize = 1024;

/// Sessions whose processes are being ended: when there are more, the earliest is made to end at once.
pub const ENDING_COUNT_MAX: usize = PROCESS_COUNT_MAX;

/// Guardians that live on for what has detached itself from its session. When there are as many, what
/// detaches itself from a further session is ended with it.
pub const LEFT_COUNT_MAX: usize = 256;

/// Children at once: guardians of sessions that run, end and are left behind, and the program beside
/// us. Each costs two pids, a descriptor or four and a look at every SIGCHLD; the processes themselves
/// are far dearer than that.
pub const CHILD_COUNT_MAX: usize = PROCESS_COUNT_MAX + ENDING_COUNT_MAX + LEFT_COUNT_MAX + 1;

const _: () = assert!(PROCESS_COUNT_MAX <= SESSION_COUNT_MAX);

// -- ends -----------------------------------------------------------------------------------------

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

const _: () = assert!(OUTPUT_SILENCE_MAX.as_millis() < OUTPUT_AFTER_EXIT_MAX.as_millis());
const _: () = assert!(DETACH_GRACE.as_millis() < KILL_GRACE.as_millis());
const _: () = assert!(REVOKED_GRACE.as_millis() < KILL_GRACE.as_millis());
