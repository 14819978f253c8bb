//! A line between agent and gateway that loses and delays packets, or goes dead without a word.
//!
//! A TUN device of this namespace: what is sent to the far address comes out here, is lost or
//! held, and goes back in with both addresses swapped, as if a host behind the line had sent it.
//! So a gateway on the near address is reached at the far one, with every packet of both
//! directions passing here. What `tc netem` does, for kernels that come without it.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use loopback_gateway::targets::Pattern;

/// Larger than any packet on the device.
const PACKET_BYTES_MAX: usize = 2048;
/// Source and destination of an IPv4 header.
const SOURCE: std::ops::Range<usize> = 12..16;
const DESTINATION: std::ops::Range<usize> = 16..20;

/// What happens to packets.
#[derive(Clone, Copy, Default)]
pub struct Shape {
    /// Of 100 packets, each way.
    pub loss_percent: u8,
    /// Of each packet, each way.
    pub delay: Duration,
    /// Nothing passes.
    pub is_cut: bool,
}

/// What has happened to packets.
#[derive(Clone, Copy, Default)]
pub struct Passed {
    pub packets: u64,
    pub lost: u64,
}

/// A line. It stays until this process ends.
pub struct Line {
    /// Where the gateway listens.
    pub near: IpAddr,
    /// Where the agent finds it.
    pub far: IpAddr,
    shared: Arc<Mutex<(Shape, Passed)>>,
}

impl Line {
    /// Lays a line with this number, which no other line may have. Needs root and a network
    /// namespace in which nobody minds.
    pub fn lay(number: u8, shape: Shape) -> Self {
        let name = format!("line{number}");
        let device = open_tun(&name);
        let near = Ipv4Addr::new(10, 77, number, 1);
        let far = Ipv4Addr::new(10, 77, number, 2);
        for words in [
            vec!["addr", "add", &format!("{near}/24"), "dev", &name],
            vec!["link", "set", &name, "up"],
        ] {
            let status = Command::new("ip").args(words).status().expect("ip");
            assert!(status.success(), "ip could not set up {name}");
        }
        let shared = Arc::new(Mutex::new((shape, Passed::default())));
        let (held, due) = channel();
        let mut back = device.try_clone().expect("a descriptor");
        std::thread::spawn(move || deliver(&due, &mut back));
        let theirs = shared.clone();
        std::thread::spawn(move || take(device, &theirs, &held));
        Self {
            near: near.into(),
            far: far.into(),
            shared,
        }
    }

    /// Cuts or mends it.
    pub fn cut(&self, is_cut: bool) {
        self.shared.lock().unwrap().0.is_cut = is_cut;
    }

    /// So far.
    pub fn passed(&self) -> Passed {
        self.shared.lock().unwrap().1
    }
}

type Held = (Instant, Vec<u8>);

fn take(mut device: File, shared: &Mutex<(Shape, Passed)>, held: &std::sync::mpsc::Sender<Held>) {
    let mut random = Pattern::new(20);
    let mut buffer = [0; PACKET_BYTES_MAX];
    while let Ok(size) = device.read(&mut buffer) {
        let packet = &mut buffer[..size];
        if packet.first().is_none_or(|byte| byte >> 4 != 4) {
            continue;
        }
        let mut word = [0; 8];
        random.fill(&mut word);
        let (shape, passed) = &mut *shared.lock().unwrap();
        passed.packets += 1;
        if shape.is_cut || u64::from_le_bytes(word) % 100 < u64::from(shape.loss_percent) {
            passed.lost += 1;
            continue;
        }
        let source: [u8; 4] = packet[SOURCE].try_into().expect("four bytes");
        packet.copy_within(DESTINATION, SOURCE.start);
        packet[DESTINATION].copy_from_slice(&source);
        if held
            .send((Instant::now() + shape.delay, packet.to_vec()))
            .is_err()
        {
            return;
        }
    }
}

fn deliver(due: &Receiver<Held>, device: &mut File) {
    for (at, packet) in due {
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        let _ = device.write(&packet);
    }
}

fn open_tun(name: &str) -> File {
    let device = File::options().read(true).write(true).open("/dev/net/tun");
    let device = device.expect("/dev/net/tun, as root");
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = libc::c_char::try_from(byte).expect("ASCII");
    }
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_TUN | libc::IFF_NO_PI).expect("small flags");
    // SAFETY: the request outlives the call.
    let made = unsafe { libc::ioctl(device.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    assert_eq!(made, 0, "TUNSETIFF: {}", std::io::Error::last_os_error());
    device
}
