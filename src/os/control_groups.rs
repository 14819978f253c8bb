//! A control group for each session, where we may make one: the kernel then kills all of a session at
//! once (`cgroup.kill`), however fast it forks.
//!
//! The guardian removes the group with the last of its processes; where it was killed, the agent does
//! when nobody is left. Groups of an agent and guardians that were both killed are removed by the next
//! agent that starts.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where groups are made, and the number of the next one.
pub struct ControlGroups {
    own: Option<PathBuf>,
    next: u64,
}

/// A group's name begins with this; the agent's process id and a number follow.
const PREFIX: &str = "hoop-lite-";

/// Where version 2 is mounted, alone or beside version 1.
const MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

impl ControlGroups {
    /// Looks for our own group.
    pub fn new(is_wanted: bool) -> Self {
        let own = is_wanted.then(own_group).flatten();
        own.iter().for_each(|own| remove_leftovers(own));
        Self { own, next: 0 }
    }

    /// A new group for a session; empty where there can be none.
    pub fn create(&mut self) -> CString {
        self.try_create().unwrap_or_default()
    }

    fn try_create(&mut self) -> Option<CString> {
        let own = self.own.as_ref()?;
        let name = format!("{PREFIX}{}-{}", std::process::id(), self.next);
        let path = own.join(name);
        let made = fs::create_dir(&path).is_ok();
        if !made || !path.join("cgroup.kill").exists() {
            if made {
                let _ = fs::remove_dir(&path);
            }
            // The next attempt would fail as well.
            self.own = None;
            return None;
        }
        self.next += 1;
        CString::new(path.as_os_str().as_bytes()).ok()
    }

    /// No process was started in it.
    pub fn discard(&mut self, group: &CString) {
        if let Ok(path) = group.to_str()
            && !path.is_empty()
        {
            let _ = fs::remove_dir(path);
        }
    }
}

/// Groups whose agent is gone; one that still has processes stays.
fn remove_leftovers(own: &Path) {
    for entry in fs::read_dir(own).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        if let Some((agent, _)) = number.and_then(|number| number.split_once('-'))
            && !Path::new("/proc").join(agent).exists()
        {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// The group that we live in, if it is one of version 2.
fn own_group() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mount = MOUNTS.into_iter().map(Path::new);
    let mut mount = mount.filter(|mount| mount.join("cgroup.procs").exists());
    Some(mount.next()?.join(path))
}
