//! Every bound of the program, with its reason, by subject. Nothing that a peer can make us remember
//! is without a constant here or, where only one file needs it, in that file.
//!
//! What has to be smaller than what is asserted at the end of each group: a number that is changed
//! without the others does not compile.

mod http2;
mod link;
mod login;
mod one_shot;
mod processes;
mod relays;
mod secrets;
mod sessions;
mod tls;
mod web;

pub use http2::*;
pub use link::*;
pub use login::*;
pub use one_shot::*;
pub use processes::*;
pub use relays::*;
pub use secrets::*;
pub use sessions::*;
pub use tls::*;
pub use web::*;
