//! Answers to the one-shot commands (`admin`).

// -- answers of the gateway to REST calls ---------------------------------------------------------

/// Bytes of one HTTP response body that `admin` accepts: some ten thousand agents in a list.
pub const ADMIN_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of one HTTP response head; a renewed token and cookies fit several times.
pub const ADMIN_HEAD_BYTES_MAX: usize = 64 * 1024;
/// Header lines of one HTTP response.
pub const ADMIN_HEADERS_MAX: usize = 64;

const _: () = assert!(ADMIN_HEAD_BYTES_MAX < ADMIN_BODY_BYTES_MAX);
