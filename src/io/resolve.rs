//! Names to addresses, without holding up the loop.
//!
//! The kernel has no asynchronous resolver, so the C library's runs in a few short-lived threads,
//! which wake the loop when an answer is there. Promises an answer for every name accepted, as
//! late as the system's resolver takes; deadlines are the asker's business (see
//! [`Resolver::cancel`]).
//!
//! musl gives up on a name when one search domain fails, and Kubernetes sets `ndots:5` with
//! several of those: a name with a dot is therefore asked for as absolute (`name.`) first, and as
//! it stands only then. Except when `/etc/hosts` knows it: no C library finds `name.` in there.

use std::collections::VecDeque;
use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use mio::Waker;

use super::sys;
pub use super::sys::LookupError;

/// Lookups at once: slow servers should not make us a crowd of threads.
pub const THREADS_MAX: usize = 8;
/// Names waiting or unread answers: more than sessions may reasonably open at once.
pub const REQUESTS_MAX: usize = 1024;
/// Addresses kept of one name: nobody would try more.
pub const ADDRESSES_MAX: usize = 16;
/// Longest name in DNS, with its last dot.
const NAME_BYTES_MAX: usize = 254;
/// musl's resolver needs some 16 KiB, glibc's plug-ins more; untouched pages cost nothing.
const STACK_BYTES: usize = 256 * 1024;
/// No hosts file is longer, and a hostile one shall not keep us busy.
const HOSTS_BYTES_MAX: u64 = 1024 * 1024;

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LookupError::NotFound => "no such host",
            LookupError::Temporary => "temporary failure in name resolution",
            LookupError::Failed => "name resolution failed",
        })
    }
}

impl LookupError {
    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NotFound => "check the spelling of the host",
            Self::Temporary | Self::Failed => {
                "check /etc/resolv.conf and that the name server can be reached"
            }
        }
    }
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What was given to [`Resolver::submit`].
    pub request: u64,
    /// The addresses, IPv6 and IPv4 taking turns as RFC 8305 section 4 wants, beginning with the
    /// family that the system prefers; never empty.
    pub outcome: Result<Vec<SocketAddr>, LookupError>,
}

/// No room for one more request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

struct Question {
    request: u64,
    host: String,
    port: u16,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Question>,
    answered: Vec<Resolved>,
    /// Requests that a thread works on.
    asking: Vec<u64>,
    threads: usize,
}

type LookUp = fn(&str, u16) -> Result<Vec<SocketAddr>, LookupError>;

struct Shared {
    state: Mutex<State>,
    waker: Arc<Waker>,
    look_up: LookUp,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and the state would be whole if it did.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves names in the background.
pub struct Resolver {
    shared: Arc<Shared>,
}

impl Resolver {
    /// `waker` is woken whenever [`Resolver::take_results`] has something.
    pub fn new(waker: Arc<Waker>) -> Self {
        Self::with(waker, look_up)
    }

    /// The resolver is a parameter for tests.
    fn with(waker: Arc<Waker>, look_up: LookUp) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            waker,
            look_up,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Asks for the addresses of `host`. Literals (`192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`)
    /// are answered without a thread, but by [`Resolver::take_results`] too.
    pub fn submit(&mut self, request: u64, host: &str, port: u16) -> Result<(), Busy> {
        let mut state = self.shared.lock();
        if state.waiting.len() + state.asking.len() + state.answered.len() >= REQUESTS_MAX {
            return Err(Busy);
        }
        if let Some(addresses) = known(host, port) {
            let outcome = Ok(addresses);
            self.answer(&mut state, Resolved { request, outcome });
        } else if !is_name(host) {
            let outcome = Err(LookupError::NotFound);
            self.answer(&mut state, Resolved { request, outcome });
        } else {
            let host = host.to_owned();
            state.waiting.push_back(Question {
                request,
                host,
                port,
            });
            if state.threads < THREADS_MAX {
                self.start_thread(&mut state);
            }
        }
        Ok(())
    }

    /// Forgets a request: its answer, if there will be one, is dropped.
    pub fn cancel(&mut self, request: u64) {
        let mut state = self.shared.lock();
        state.waiting.retain(|question| question.request != request);
        state.answered.retain(|answer| answer.request != request);
        state.asking.retain(|&asked| asked != request);
    }

    /// The answers that came since the last call.
    pub fn take_results(&mut self) -> Vec<Resolved> {
        std::mem::take(&mut self.shared.lock().answered)
    }

    fn answer(&self, state: &mut State, answer: Resolved) {
        state.answered.push(answer);
        // Waking fails only when the loop itself is broken.
        let _ = self.shared.waker.wake();
    }

    fn start_thread(&self, state: &mut State) {
        let shared = Arc::clone(&self.shared);
        let started = thread::Builder::new()
            .name("resolve".to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || answer_questions(&shared));
        if started.is_ok() {
            state.threads += 1;
        } else if state.threads == 0 {
            // Nobody is left who would take the question.
            while let Some(question) = state.waiting.pop_front() {
                let request = question.request;
                let outcome = Err(LookupError::Temporary);
                self.answer(state, Resolved { request, outcome });
            }
        }
    }
}

/// The life of a helper thread: it ends when nothing waits.
fn answer_questions(shared: &Shared) {
    let mut state = shared.lock();
    while let Some(question) = state.waiting.pop_front() {
        let request = question.request;
        state.asking.push(request);
        drop(state);
        let outcome = (shared.look_up)(&question.host, question.port);
        state = shared.lock();
        if let Some(index) = state.asking.iter().position(|&asked| asked == request) {
            state.asking.swap_remove(index);
            state.answered.push(Resolved { request, outcome });
            let _ = shared.waker.wake();
        }
    }
    state.threads -= 1;
}

/// The addresses of `host`, waiting as long as the system's resolver takes: for commands that have
/// no loop to hold up. Order as in [`Resolved`]; literals are answered at once.
pub fn resolve_now(host: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    if let Some(addresses) = known(host, port) {
        return Ok(addresses);
    }
    if !is_name(host) {
        return Err(LookupError::NotFound);
    }
    look_up(host, port)
}

/// What needs no resolver: literals, and the names that RFC 6761, section 6.3, keeps for this
/// machine. An image without `/etc/hosts` would ask a server for them.
fn known(host: &str, port: u16) -> Option<Vec<SocketAddr>> {
    if let Some(address) = literal(host) {
        return Some(vec![SocketAddr::new(address, port)]);
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_local = name == "localhost" || name.ends_with(".localhost");
    let loopback = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    is_local.then(|| {
        loopback
            .map(|address| SocketAddr::new(address, port))
            .into()
    })
}

fn literal(host: &str) -> Option<IpAddr> {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => host.parse().ok(),
    }
}

/// Cheap refusal of what cannot be a name; the resolver has the last word.
fn is_name(host: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&host.len())
        && !host
            .bytes()
            .any(|byte| byte.is_ascii_control() || byte == b' ')
}

fn look_up(host: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
    let absolute = absolute_form(host).filter(|_| !hosts_file_knows(host));
    let first = absolute.map(|name| ask(&name));
    let addresses = match first {
        Some(Ok(addresses)) => addresses,
        // Also after a failure that may be temporary: a search domain may be all that works.
        Some(Err(_)) | None => ask(host)?,
    };
    Ok(take_turns(&addresses)
        .map(|address| SocketAddr::new(address, port))
        .collect())
}

fn ask(name: &str) -> Result<Vec<IpAddr>, LookupError> {
    let name = CString::new(name).map_err(|_| LookupError::NotFound)?;
    let addresses = sys::lookup(&name)?;
    if addresses.is_empty() {
        return Err(LookupError::NotFound);
    }
    Ok(addresses)
}

/// `name.` for a name with a dot inside; `None` for one that is absolute or single already.
fn absolute_form(host: &str) -> Option<String> {
    (host.contains('.') && !host.ends_with('.')).then(|| format!("{host}."))
}

fn hosts_file_knows(host: &str) -> bool {
    File::open("/etc/hosts").is_ok_and(|file| lists_name(file, host))
}

/// Whether a file of the form of `/etc/hosts` has a line for this name.
pub fn lists_name(hosts: impl Read, host: &str) -> bool {
    BufReader::new(hosts.take(HOSTS_BYTES_MAX))
        .split(b'\n')
        .map_while(io::Result::ok)
        .any(|line| line_names(&line, host.as_bytes()))
}

/// `address name alias... # comment`
fn line_names(line: &[u8], host: &[u8]) -> bool {
    let entry = line.split(|&byte| byte == b'#').next().unwrap_or_default();
    entry
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .skip(1)
        .any(|name| name.eq_ignore_ascii_case(host))
}

/// RFC 8305 section 4: families take turns, each in the given order, the first one's family
/// first. Repeated addresses and those beyond [`ADDRESSES_MAX`] are left out.
fn take_turns(addresses: &[IpAddr]) -> impl Iterator<Item = IpAddr> {
    let mut turns: Vec<IpAddr> = Vec::new();
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let mut preferred = addresses.iter().filter(|a| a.is_ipv6() == first_is_v6);
    let mut other = addresses.iter().filter(|a| a.is_ipv6() != first_is_v6);
    loop {
        let pair = [preferred.next(), other.next()];
        if pair == [None, None] {
            break;
        }
        for &address in pair.into_iter().flatten() {
            if turns.len() < ADDRESSES_MAX && !turns.contains(&address) {
                turns.push(address);
            }
        }
    }
    turns.into_iter()
}

#[cfg(test)]
mod tests {
    use std::sync::Condvar;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use mio::{Events, Poll, Token};

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn families_take_turns_beginning_with_the_preferred() {
        let given = ["::1", "::2", "::3", "192.0.2.1", "::1", "192.0.2.2"].map(address);
        let turns: Vec<_> = take_turns(&given).collect();
        let expected = ["::1", "192.0.2.1", "::2", "192.0.2.2", "::3"].map(address);
        assert_eq!(turns, expected);
        let given = ["192.0.2.1", "::1", "192.0.2.2"].map(address);
        assert_eq!(take_turns(&given).collect::<Vec<_>>(), given);
        assert_eq!(take_turns(&[]).count(), 0);
    }

    #[test]
    fn addresses_of_one_name_are_bounded() {
        let given: Vec<_> = (0..100u8).map(|n| IpAddr::from([10, 0, 0, n])).collect();
        assert_eq!(take_turns(&given).count(), ADDRESSES_MAX);
    }

    #[test]
    fn only_names_with_a_dot_inside_have_an_absolute_form() {
        assert_eq!(
            absolute_form("db.example.com").as_deref(),
            Some("db.example.com.")
        );
        assert_eq!(absolute_form("db.example.com."), None);
        assert_eq!(absolute_form("db"), None);
    }

    #[test]
    fn hosts_file_is_read_as_the_c_library_reads_it() {
        let hosts = "# 192.0.2.1 no.example\n192.0.2.2\tdb.example  DB2.example # no.example\n\n";
        for (name, listed) in [
            ("db.example", true),
            ("db2.EXAMPLE", true),
            ("no.example", false),
            ("192.0.2.2", false),
            ("b.example", false),
            ("", false),
        ] {
            assert_eq!(lists_name(hosts.as_bytes(), name), listed, "{name}");
        }
    }

    static RUNNING: AtomicUsize = AtomicUsize::new(0);
    static OPEN: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());

    /// A server that answers nobody before the gate opens.
    fn wait_for_gate(_: &str, port: u16) -> Result<Vec<SocketAddr>, LookupError> {
        assert!(RUNNING.fetch_add(1, Ordering::SeqCst) < THREADS_MAX);
        let gate = OPEN.0.lock().unwrap();
        drop(OPEN.1.wait_while(gate, |open| !*open).unwrap());
        RUNNING.fetch_sub(1, Ordering::SeqCst);
        Ok(vec![SocketAddr::new(address("192.0.2.1"), port)])
    }

    #[test]
    fn slow_servers_take_few_threads_and_the_queue_is_bounded() {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let mut resolver = Resolver::with(waker, wait_for_gate);
        for request in 0..REQUESTS_MAX as u64 {
            assert_eq!(resolver.submit(request, "slow.example", 1), Ok(()));
        }
        assert_eq!(resolver.submit(9999, "slow.example", 1), Err(Busy));
        resolver.cancel(0);
        resolver.cancel(1000);
        assert_eq!(resolver.submit(9999, "192.0.2.9", 1), Ok(()));
        assert_eq!(
            resolver.take_results().len(),
            1,
            "a literal waits for nobody"
        );
        *OPEN.0.lock().unwrap() = true;
        OPEN.1.notify_all();
        let mut answered = Vec::new();
        let mut events = Events::with_capacity(4);
        while answered.len() < REQUESTS_MAX - 2 {
            poll.poll(&mut events, None).unwrap();
            answered.extend(resolver.take_results().into_iter().map(|a| a.request));
        }
        answered.sort_unstable();
        assert!((1..REQUESTS_MAX as u64).filter(|&n| n != 1000).eq(answered));
    }
}
