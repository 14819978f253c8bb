//! stub
use crate::base::ByteBuf;
use std::time::Instant;
#[derive(Default)]
pub struct LocalSettings;
#[derive(Clone, Copy, PartialEq)]
pub struct StreamId(u32);
pub struct Connection;
#[derive(Debug, Clone, Copy)]
pub struct ErrorCode(u32);
impl ErrorCode {
    pub const CANCEL: Self = Self(8);
    pub const NO_ERROR: Self = Self(0);
}
impl std::fmt::Display for ErrorCode {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
#[derive(Debug)]
pub struct ConnectionError;
impl std::fmt::Display for ConnectionError {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        todo!()
    }
}
#[derive(Debug)]
pub struct OpenError;
pub struct Fields;
pub enum Event<'a> {
    GoAway {
        code: ErrorCode,
        debug: &'a [u8],
        last_stream: StreamId,
    },
    Data {
        stream: StreamId,
        bytes: &'a [u8],
        end_stream: bool,
    },
    Headers {
        stream: StreamId,
        fields: Fields,
        end_stream: bool,
    },
    Trailers {
        stream: StreamId,
        fields: Fields,
    },
    Reset {
        stream: StreamId,
        code: ErrorCode,
    },
}
impl Connection {
    pub fn new(_: &LocalSettings) -> Self {
        todo!()
    }
    pub fn send_message(&mut self, _: StreamId, _: &[u8]) {}
    pub fn outstanding_credit(&self, _: StreamId) -> u32 {
        0
    }
    pub fn grant(&mut self, _: StreamId, _: u32) {}
    pub fn control_output(&mut self) -> &mut ByteBuf {
        todo!()
    }
    pub fn send_room(&self, _: StreamId) -> usize {
        0
    }
    pub fn data_head(&mut self, _: StreamId, _: usize, _: bool) -> [u8; 9] {
        todo!()
    }
    pub fn reset(&mut self, _: StreamId, _: ErrorCode) {}
    pub fn go_away(&mut self, _: ErrorCode) {}
    pub fn open_stream(&mut self, _: &[(&str, &[u8])], _: bool) -> Result<StreamId, OpenError> {
        todo!()
    }
    pub fn handle_input<'a>(
        &mut self,
        _: Instant,
        _: &'a [u8],
    ) -> Result<(usize, Option<Event<'a>>), ConnectionError> {
        todo!()
    }
}
