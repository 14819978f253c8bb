//! Leaf types that every layer may use. Nothing here knows a protocol, a socket or a clock.

pub mod address;
pub mod bytebuf;
pub mod chunks;
pub mod civil;
pub mod client_env;
pub mod fields;
pub mod metadata;
pub mod near;
pub mod plain;
pub mod rng;
pub mod secret;
pub mod slab;
pub mod terminal_size;
pub mod timers;
pub mod trust;

pub use address::{Address, AddressError, GatewayAddress, Service};
pub use bytebuf::ByteBuf;
pub use chunks::{Chunks, Pieces};
pub use client_env::ClientEnv;
pub use fields::Fields;
pub use rng::Rng;
pub use secret::{Secret, wipe};
pub use slab::{Key, Slab};
pub use terminal_size::TerminalSize;
pub use timers::{TimerId, Timers};
pub use trust::{Roots, Trust, Verify};
