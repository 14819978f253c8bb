//! Our side of the sessions' guardians: what they are told and when, and what they report.
//!
//! Promises that a session which was asked to end is made to after its time, that no order reaches a
//! stranger, and that a guardian which somebody has killed ends its session too. How the processes
//! are found is the guardians' business (`sys/guard.rs`).

use std::collections::{BTreeMap, VecDeque};
use std::ffi::{CStr, OsStr};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};

use super::children::Children;
use super::sys::{Order, Pid};
use crate::limits;
use crate::session::{End, Exit};

/// Tokens of guardians begin here, far above those of targets and below those of names: the id
/// follows.
pub const TOKEN_BASE: usize = 1 << (usize::BITS - 3);

struct Guardian {
    control: UnixStream,
    /// The leader's end was reported.
    has_reported: bool,
    /// What it is told when its turn comes, before the session's time begins.
    next_order: Option<Order>,
    /// What it is told when the session's time is up.
    last_order: Order,
    /// Nobody is left but what has detached itself.
    is_left: bool,
    control_group: PathBuf,
}

/// All of them, by the id of the guardian's process.
#[derive(Default)]
pub struct Guardians {
    table: BTreeMap<Pid, Guardian>,
    /// Sessions that are over, and when they are to be told more, earliest first.
    ending: VecDeque<(Instant, Pid)>,
    left: usize,
    /// Control groups of guardians that somebody has killed, with processes in them still.
    orphaned_groups: VecDeque<PathBuf>,
}

impl Guardians {
    /// Takes charge of a guardian; its reports wake the loop from now on.
    pub fn insert(
        &mut self,
        registry: &Registry,
        pid: Pid,
        mut control: UnixStream,
        control_group: &CStr,
    ) -> io::Result<()> {
        let result = registry.register(&mut control, token(pid), Interest::READABLE);
        let guardian = Guardian {
            control,
            has_reported: false,
            next_order: None,
            last_order: Order::KillAll,
            is_left: false,
            control_group: OsStr::from_bytes(control_group.to_bytes()).into(),
        };
        self.table.insert(pid, guardian);
        result
    }

    /// The guardian of a token.
    pub fn pid(token: Token) -> Option<Pid> {
        token.0.checked_sub(TOKEN_BASE)?.try_into().ok()
    }

    /// It is one of them.
    pub fn knows(&self, pid: Pid) -> bool {
        self.table.contains_key(&pid)
    }

    /// How the leader has ended, if that has just been reported.
    pub fn report(&mut self, pid: Pid) -> Option<Exit> {
        let guardian = self.table.get_mut(&pid)?;
        let mut status = [0; size_of::<i32>()];
        if guardian.has_reported || guardian.control.read_exact(&mut status).is_err() {
            return None;
        }
        guardian.has_reported = true;
        Some(exit(i32::from_ne_bytes(status)))
    }

    /// A guardian has ended. The leader's end, if nobody has heard of it yet.
    pub fn remove(&mut self, pid: Pid) -> Option<Exit> {
        let reported = self.report(pid);
        let guardian = self.table.remove(&pid)?;
        self.left -= usize::from(guardian.is_left);
        // The id may be given to another guardian, whose time is not up.
        self.ending.retain(|(_, other)| *other != pid);
        if guardian.has_reported {
            return reported;
        }
        // Somebody has killed it, so the kernel has killed its leader. The others can only be found by
        // their control group.
        if !guardian.control_group.as_os_str().is_empty() {
            let _ = std::fs::write(guardian.control_group.join("cgroup.kill"), "1");
            self.orphaned_groups.push_back(guardian.control_group);
            self.remove_groups();
        }
        Some(Exit::Signal(SIGKILL))
    }

    /// A session is over: its processes are asked to end, and killed after a while. At a normal end
    /// they first get a moment in which to detach themselves.
    pub fn end(&mut self, now: Instant, children: &Children, pid: Pid, end: End) {
        self.remove_groups();
        let spares = end == End::Normal && self.left < limits::LEFT_COUNT_MAX;
        if let Some(guardian) = self.table.get_mut(&pid) {
            let wait = if spares {
                guardian.next_order = Some(Order::EndAttached);
                guardian.last_order = Order::KillAttached;
                limits::DETACH_GRACE
            } else {
                guardian.last_order = Order::KillAll;
                guardian.tell(children, pid, Order::EndAll);
                limits::KILL_GRACE
            };
            self.schedule(now + wait, pid);
        }
        self.kill_overdue(now, children);
    }

    /// Removes the control groups of killed guardians in which nobody is left; the others later.
    pub fn remove_groups(&mut self) {
        let is_left = |group: &PathBuf| std::fs::remove_dir(group).is_err() && group.exists();
        self.orphaned_groups.retain(is_left);
        if self.orphaned_groups.len() > limits::LEFT_COUNT_MAX {
            // The next agent removes it.
            self.orphaned_groups.pop_front();
        }
    }

    fn schedule(&mut self, at: Instant, pid: Pid) {
        let place = self.ending.partition_point(|(other, _)| *other <= at);
        self.ending.insert(place, (at, pid));
    }

    /// Asks everybody to end, what earlier sessions have left behind included, and kills whoever has not
    /// within `grace`.
    pub fn end_all(&mut self, now: Instant, children: &Children, grace: Duration) {
        let latest = now + grace;
        for (at, _) in &mut self.ending {
            *at = latest.min(*at);
        }
        for (pid, guardian) in &mut self.table {
            guardian.next_order = None;
            guardian.last_order = Order::KillAll;
            guardian.tell(children, *pid, Order::EndAll);
            if !self.ending.iter().any(|(_, other)| other == pid) {
                self.ending.push_back((latest, *pid));
            }
        }
    }

    /// When [`Guardians::kill_overdue`] wants to be called.
    pub fn next_kill(&self) -> Option<Instant> {
        self.ending.front().map(|(at, _)| *at)
    }

    /// Asks those whose moment to detach is over to end; kills those that were asked and did not end, and
    /// the earliest ones when there are too many.
    pub fn kill_overdue(&mut self, now: Instant, children: &Children) {
        while let Some((at, pid)) = self.ending.front().copied()
            && (at <= now || self.ending.len() > limits::ENDING_COUNT_MAX)
        {
            self.ending.pop_front();
            let Some(guardian) = self.table.get_mut(&pid) else {
                continue;
            };
            let is_overdue = at <= now;
            if let Some(order) = guardian.next_order.take().filter(|_| is_overdue) {
                guardian.tell(children, pid, order);
                self.schedule(now + limits::KILL_GRACE, pid);
                continue;
            }
            guardian.tell(children, pid, guardian.last_order);
            if guardian.last_order == Order::KillAttached && !guardian.is_left {
                guardian.is_left = true;
                self.left += 1;
            }
        }
    }
}

impl Guardian {
    fn tell(&mut self, children: &Children, pid: Pid, order: Order) {
        // One that has ended needs no orders; one that somebody has stopped has to be woken.
        let _ = self.control.write(&[order as u8]);
        children.resume(pid);
    }
}

fn token(pid: Pid) -> Token {
    Token(TOKEN_BASE + usize::try_from(pid).unwrap_or_default())
}

const SIGKILL: u8 = 9;

/// What wait(2) says of an ended process.
fn exit(status: i32) -> Exit {
    let [first, second, ..] = status.to_le_bytes();
    match first & 0x7f {
        0 => Exit::Code(second),
        number => Exit::Signal(number),
    }
}
