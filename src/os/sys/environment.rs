//! The environment of a program that is started, in memory that is wiped.
//!
//! std's `Command` copies each variable twice, and frees the copies as they are: what a session's secrets were
//! could be found in the agent's memory long after the session.

use std::ffi::{OsString, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::own::set_environment_list;
use crate::base::{Secret, wipe};

/// See the module.
pub struct EnvironmentBlock {
    /// `NAME=VALUE` and a zero, one behind the other.
    bytes: Vec<u8>,
    /// Where in it each begins, and a null pointer.
    entries: Vec<*mut c_char>,
}

// SAFETY: the pointers lead into `bytes`, which belong to the same value and are not changed any more.
unsafe impl Send for EnvironmentBlock {}
// SAFETY: nothing of it is written through a shared reference.
unsafe impl Sync for EnvironmentBlock {}

impl EnvironmentBlock {
    /// Of several values for one name the last counts.
    pub fn new(variables: &[(OsString, Secret)]) -> io::Result<Self> {
        let sizes = variables
            .iter()
            .map(|(name, value)| name.len() + value.expose().len() + 2);
        // Its memory never moves, and is wiped whichever way this ends.
        let mut block = Self {
            bytes: Vec::with_capacity(sizes.sum()),
            entries: Vec::with_capacity(variables.len() + 1),
        };
        for (place, (name, value)) in variables.iter().enumerate() {
            if variables[place + 1..]
                .iter()
                .any(|(later, _)| later == name)
            {
                continue;
            }
            let (name, value) = (name.as_bytes(), value.expose());
            if name.contains(&0) || value.contains(&0) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let at = block.bytes.len();
            block
                .entries
                .push(block.bytes.as_mut_ptr().wrapping_add(at).cast());
            for part in [name, b"=", value, b"\0"] {
                block.bytes.extend_from_slice(part);
            }
        }
        block.entries.push(std::ptr::null_mut());
        Ok(block)
    }

    /// Has this process hand it to the program that it becomes. To be called between fork and exec.
    pub(super) fn install(&self) {
        // The list is only read from here on, by an exec.
        set_environment_list(self.entries.as_ptr().cast_mut());
    }
}

impl Drop for EnvironmentBlock {
    fn drop(&mut self) {
        wipe(&mut self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    fn block(variables: &[(&str, &str)]) -> io::Result<EnvironmentBlock> {
        let owned = |(name, value): &(&str, &str)| (name.into(), Secret::new(*value));
        let variables: Vec<_> = variables.iter().map(owned).collect();
        EnvironmentBlock::new(&variables)
    }

    #[test]
    fn every_name_stands_once_with_its_last_value() {
        let block = block(&[("A", "1"), ("B", ""), ("A", "2=3"), ("C", "x")]).unwrap();
        let (null, entries) = block.entries.split_last().unwrap();
        assert!(null.is_null());
        // SAFETY: each entry leads to a zero-terminated text of the block.
        let text = |entry: &*mut c_char| unsafe { CStr::from_ptr(*entry) }.to_str().unwrap();
        let texts: Vec<_> = entries.iter().map(text).collect();
        assert_eq!(texts, ["B=", "A=2=3", "C=x"]);
        assert!(self::block(&[]).unwrap().entries[0].is_null());
    }

    #[test]
    fn what_would_be_cut_is_refused() {
        assert!(block(&[("A", "1\u{0}2")]).is_err());
        assert!(block(&[("A\u{0}", "1")]).is_err());
    }
}
