//! What is sent over relays: text that is known at every offset, so that a byte that is lost,
//! doubled, swapped or of another relay is seen where it arrives.

use std::sync::OnceLock;

use crate::dice::Dice;

/// Stands in every key, password and payload; no log line may contain it.
pub const MARKER: &str = "s3cr3t";
/// [`MARKER`] in base64, from its first letter on.
pub const MARKER_BASE64: &str = "czNjcjN0";

/// Prime, so that no size that anybody uses divides it.
const PERIOD: usize = 65_521;
/// The longest slice.
pub const PIECE_MAX: usize = 32 * 1024;

/// An endless text; another for each salt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Content(pub u64);

impl Content {
    /// Up to [`PIECE_MAX`] bytes from `offset` on.
    pub fn at(self, offset: u64, len: usize) -> &'static [u8] {
        let place = self.0.wrapping_mul(7919).wrapping_add(offset) % PERIOD as u64;
        let start = usize::try_from(place).unwrap();
        &table()[start..start + len.min(PIECE_MAX)]
    }

    /// Any number of bytes from `offset` on.
    pub fn bytes(self, offset: u64, len: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(len);
        while out.len() < len {
            out.extend_from_slice(self.at(offset + out.len() as u64, len - out.len()));
        }
        out
    }

    /// `bytes` are what this text has at `offset`.
    pub fn check(self, offset: u64, bytes: &[u8], who: &str) {
        let mut done = 0;
        while done < bytes.len() {
            let want = self.at(offset + done as u64, bytes.len() - done);
            let got = &bytes[done..done + want.len()];
            if got != want {
                let at = got.iter().zip(want).take_while(|(a, b)| a == b).count();
                panic!("{who}: byte {} differs", offset + (done + at) as u64);
            }
            done += want.len();
        }
    }
}

fn table() -> &'static [u8] {
    static TABLE: OnceLock<Vec<u8>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let mut dice = Dice::new(1);
        let mut text = Vec::with_capacity(PERIOD);
        while text.len() < PERIOD {
            if dice.chance(10) {
                text.extend_from_slice(MARKER.as_bytes());
            } else {
                text.push(
                    dice.pick(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/"),
                );
            }
        }
        text.truncate(PERIOD);
        text.extend_from_within(..PIECE_MAX);
        text
    })
}
