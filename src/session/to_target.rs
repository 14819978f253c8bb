//! The way from a machine to the queue of its target.

use std::time::Instant;

use super::names::TargetId;
use super::targets::Targets;
use crate::wire::sink::Sink;

/// The way to the queue of a target, for a machine; bytes for none are forgotten.
pub(super) struct ToTarget<'a> {
    now: Instant,
    targets: &'a mut Targets,
    target: Option<TargetId>,
}

impl<'a> ToTarget<'a> {
    /// To this one, if there is one.
    pub(super) fn new(now: Instant, targets: &'a mut Targets, target: Option<TargetId>) -> Self {
        Self {
            now,
            targets,
            target,
        }
    }
}

impl Sink for ToTarget<'_> {
    fn put(&mut self, bytes: &[u8]) {
        debug_assert!(self.target.is_some(), "bytes for no target");
        if let Some(target) = self.target {
            self.targets.enqueue(self.now, target, bytes);
        }
    }
}
