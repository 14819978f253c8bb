//! (to be written)

pub mod trust;
