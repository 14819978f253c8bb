//! TLS, of the link and of targets.

// -- configurations -------------------------------------------------------------------------------

/// Configurations of TLS that are kept ready: one for each set of authorities in use, of some
/// ten kilobytes.
pub const TLS_CONFIGURATIONS_MAX: usize = 16;

/// Tickets for resumption that are kept of one server, for the link or for one session: servers give
/// two in each handshake. A ticket is some 200 bytes, one of a large certificate 64 KB at most.
pub const TLS_TICKETS_MAX: usize = 2;
