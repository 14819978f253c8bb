//! Several addresses behind one name, and connections whose other end may vanish.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{AgentProcess, Gateway, Security, deadline};

use crate::world::{AGENT, World, environment, forward_at_work};

/// Both loopback addresses with one port; `None` where there is no IPv6.
fn two_listeners() -> Option<(TcpListener, TcpListener)> {
    for _ in 0..16 {
        let bad = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = bad.local_addr().unwrap().port();
        if let Ok(good) = TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            return Some((bad, good));
        }
    }
    None
}

/// Carries every connection to `gateway`.
fn pass_on(listener: TcpListener, gateway: SocketAddr) {
    for near in listener.incoming() {
        let near = near.unwrap();
        let far = TcpStream::connect(gateway).unwrap();
        let (mut near_read, mut far_read) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        let (mut near, mut far) = (near, far);
        // Either direction ends with the connection; nobody waits for these two.
        thread::spawn(move || std::io::copy(&mut near_read, &mut far));
        thread::spawn(move || std::io::copy(&mut far_read, &mut near));
    }
}

#[test]
fn the_next_address_is_tried_when_the_first_takes_connections_and_nothing_more() {
    let gateway = Gateway::start(Security::Plain);
    let key = gateway.register("demo", "standard");
    let Some((bad, good)) = two_listeners() else {
        println!("not run: no IPv6 on this machine");
        return;
    };
    let port = good.local_addr().unwrap().port();
    let address = gateway.address();
    thread::spawn(move || pass_on(good, address));
    thread::spawn(move || bad.incoming().for_each(drop));
    let key_elsewhere = key.replace(&address.to_string(), &format!("localhost:{port}"));
    assert_ne!(key, key_elsewhere);
    let quick = [("HOOP_LITE_RECONNECT_MAX", "100ms")];
    let variables = environment(&gateway, &key_elsewhere, &quick);
    let _agent = AgentProcess::start(AGENT, &variables);
    gateway.wait_online("demo");
}

/// As the kernel's table writes the state.
const ESTABLISHED: &str = "01";

/// The kernel's own word for it: the timer that runs on the socket, `02` for keep-alive.
fn timer_towards(port: u16) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let remote = format!("0100007F:{port:04X}");
    let mut lines = table.lines().map(|line| line.split_whitespace());
    lines.find_map(|mut words| {
        let is_wanted = words.nth(2)? == remote && words.next()? == ESTABLISHED;
        is_wanted.then(|| words.nth(1).map(str::to_owned))?
    })
}

#[test]
fn a_silent_connection_to_a_target_is_kept_alive() {
    let variables = [("HOOP_LITE_KEEPALIVE_IDLE", "100s")];
    let world = World::with_variables(&variables);
    let target = Target::start(Manner::Echo);
    let _forward = forward_at_work(&world.gateway, &target);
    let port = target.port();
    // Once everything is acknowledged, only this timer is left, and it is the one that was asked for.
    let is_as_set = |timer: String| {
        let (kind, left) = timer.split_once(':')?;
        let hundredths = u32::from_str_radix(left, 16).ok()?;
        (kind == "02" && (2_000..=10_000).contains(&hundredths)).then_some(())
    };
    let give_up = Instant::now() + deadline();
    while timer_towards(port).and_then(is_as_set).is_none() {
        assert!(Instant::now() < give_up, "{:?}", timer_towards(port));
        thread::sleep(Duration::from_millis(10));
    }
}
