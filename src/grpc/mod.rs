//! stub
use crate::h2::{ErrorCode, Fields};
#[derive(Clone, Copy, PartialEq)]
pub enum Code {
    Ok,
    Unauthenticated,
}
pub struct Status {
    pub code: Code,
}
impl std::fmt::Display for Status {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
impl Status {
    pub fn is_ok(&self) -> bool {
        true
    }
    pub fn ended_without_status() -> Self {
        todo!()
    }
    pub fn from_headers(_: &Fields, _: bool) -> Option<Self> {
        None
    }
    pub fn from_trailers(_: &Fields) -> Self {
        todo!()
    }
    pub fn from_reset(_: ErrorCode) -> Self {
        todo!()
    }
}
pub struct Reassembly;
#[derive(Debug)]
pub struct ReassemblyError;
impl std::fmt::Display for ReassemblyError {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
impl Reassembly {
    pub fn new(_: usize) -> Self {
        Self
    }
    pub fn feed<'a>(
        &'a mut self,
        _: &'a [u8],
    ) -> Result<(usize, Option<&'a [u8]>), ReassemblyError> {
        todo!()
    }
}
pub mod metadata {
    pub fn request<'a>(_: &'a str, _: &'a str, _: &'a str, _: &'a str) -> Vec<(&'a str, &'a [u8])> {
        todo!()
    }
}
