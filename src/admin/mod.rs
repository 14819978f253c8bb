//! (to be written)
pub mod http1;
pub mod json;
pub mod name;
pub mod table;
pub mod toml;
