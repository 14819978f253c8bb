//! TLS, of the link and of targets.

// -- configurations -------------------------------------------------------------------------------

/// Configurations of TLS that are kept ready: one for each set of authorities in use, of some
/// ten kilobytes.
pub const TLS_CONFIGURATIONS_MAX: usize = 16;
