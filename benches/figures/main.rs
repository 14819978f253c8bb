//! The figures of design section 7 against a lean gateway on loopback: `scripts/bench` runs it.
//!
//! The agent runs on one core, gateway and targets on another. A bare rustls pipe moves the same
//! bytes in the same records on the agent's core, in turns with the agent, so that both meet the
//! same noise. Throughput and CPU time are the best of all rounds: noise only ever makes them worse.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss)]

mod database;
mod gateway;
mod house;
mod mongo;
mod peer;
mod pipe;
mod process;
mod sql_server;
mod table;
mod targets;
mod web;

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use gateway::{Gateway, Said};
use peer::{Identity, Peer};
use pipe::Way;
use process::{Core, Launcher, Process, command};
use table::{Budget, Table, short};
use targets::{Echo, Sink, Source, assert_pattern};

/// What a client puts into one packet.
const CLIENT_PAYLOAD_BYTES: usize = 32 * 1024;

/// Moved and checked before each measurement; also fills windows, buffers and caches.
const CHECKED_BYTES: usize = 16 * 1024 * 1024;

/// What the real gateway relays of an upload on two cores.
const TRICKLE_BYTES_PER_SECOND: f64 = 38e6;

/// One small message: a keystroke, a query.
const SMALL_BYTES: usize = 64;

/// Time for a burst's memory to be given back: the agent does so after a second of silence.
const SETTLE: Duration = Duration::from_secs(3);

const GIGABYTE: f64 = 1e9;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if let ["pipe", way, peer, target] = words[..] {
        return pipe::run(way, peer, target);
    }
    // `cargo bench` adds this word.
    let words: Vec<&str> = words
        .into_iter()
        .filter(|word| *word != "--bench")
        .collect();
    let (agent, binary_bytes_max, rest) = match &words[..] {
        [agent, bytes, rest @ ..] => (*agent, bytes.parse::<f64>().unwrap(), rest),
        _ => panic!("usage: figures AGENT BINARY_BYTES_MAX [--quick] [ROW...]"),
    };
    let mut bench = Bench {
        agent: agent.to_owned(),
        identity: Identity::new(),
        listener: TcpListener::bind("127.0.0.1:0").unwrap(),
        launcher: Launcher::start(),
        is_quick: rest.contains(&"--quick"),
        table: Table::default(),
    };
    if bench.launcher.is_single {
        eprintln!("only one core: agent and peer share it, throughput and latency mean little");
    }
    let wanted: Vec<&&str> = rest.iter().filter(|word| !word.starts_with("--")).collect();
    let rows: [(&str, Measure); 12] = [
        ("down", |bench| bench.throughput(Way::Down)),
        ("up", |bench| bench.throughput(Way::Up)),
        ("trickle", Bench::trickle),
        ("round-trip", Bench::round_trip),
        ("start", Bench::start),
        ("execs", Bench::execs),
        ("relays", Bench::relays),
        ("database", database::measure_all),
        ("sql-server", sql_server::measure_all),
        ("mongo", mongo::measure_all),
        ("web", web::measure_all),
        ("idle", Bench::idle),
    ];
    for (name, row) in rows {
        if wanted.is_empty() || wanted.contains(&&name) {
            eprintln!("{name}");
            row(&mut bench);
        }
    }
    let bytes = std::fs::metadata(agent).unwrap().len() as f64;
    bench.table.add(
        "binary, bytes",
        bytes,
        String::new(),
        Budget::AtMost(binary_bytes_max, 1_200_000.0),
    );
    bench.table.print();
    let missed = bench.table.missed();
    if !missed.is_empty() {
        eprintln!("bench: bar missed: {}", missed.join("; "));
        drop(bench);
        std::process::exit(1);
    }
}

/// One group of rows.
type Measure = fn(&mut Bench);

struct Bench {
    agent: String,
    identity: Identity,
    listener: TcpListener,
    launcher: Launcher,
    is_quick: bool,
    table: Table,
}

/// One measured transfer.
#[derive(Clone, Copy)]
struct Transfer {
    bytes_per_second: f64,
    cpu_per_byte: f64,
}

impl Transfer {
    fn best(all: &[Self]) -> Self {
        let best = |figures: &mut dyn Iterator<Item = f64>| figures.reduce(f64::max).unwrap();
        Self {
            bytes_per_second: best(&mut all.iter().map(|one| one.bytes_per_second)),
            cpu_per_byte: -best(&mut all.iter().map(|one| -one.cpu_per_byte)),
        }
    }
}

/// Takes the time and the program's CPU time of what `run` does.
fn measure(process: &Process, size: usize, run: impl FnOnce()) -> Transfer {
    let (start, cpu) = (Instant::now(), process.cpu());
    run();
    let seconds = start.elapsed().as_secs_f64();
    Transfer {
        bytes_per_second: size as f64 / seconds,
        cpu_per_byte: (process.cpu() - cpu).as_secs_f64() / size as f64,
    }
}

impl Bench {
    fn agent_command(&self) -> std::process::Command {
        let port = self.listener.local_addr().unwrap().port();
        let key = format!(
            "grpcs://bench:xagt-{:0>43}@127.0.0.1:{port}?mode=standard",
            7
        );
        let variables = [
            ("HOOP_KEY", key.as_str()),
            ("HOOP_TLSCA", &self.identity.authority_pem),
        ];
        command(&self.agent, &[], &variables)
    }

    fn start_agent(&self, core: Core) -> (Process, Gateway) {
        let agent = self.launcher.run(core, self.agent_command());
        let gateway = Gateway::accept(&self.listener, &self.identity);
        (agent, gateway)
    }

    fn start_pipe(&self, core: Core, way: Way, target: u16) -> (Process, Peer) {
        let program = std::env::current_exe().unwrap();
        let peer = self.listener.local_addr().unwrap().to_string();
        let target = format!("127.0.0.1:{target}");
        let arguments = ["pipe", way.word(), &peer, &target];
        let variables = [("HOOP_TLSCA", self.identity.authority_pem.as_str())];
        let command = command(program.to_str().unwrap(), &arguments, &variables);
        let pipe = self.launcher.run(core, command);
        let peer = Peer::accept(&self.listener, &self.identity);
        (pipe, peer)
    }

    fn throughput(&mut self, way: Way) {
        let (rounds, size) = if self.is_quick {
            (2, 256 << 20)
        } else {
            (6, 1 << 30)
        };
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            if way == Way::Down {
                bare.push(self.pipe_down(size));
                ours.push(self.agent_down(size));
            } else {
                bare.push(self.pipe_up(size));
                ours.push(self.agent_up(size));
            }
        }
        self.report_throughput(way, Transfer::best(&bare), Transfer::best(&ours));
    }

    fn report_throughput(&mut self, way: Way, bare: Transfer, ours: Transfer) {
        let (words, cpu_bar) = match way {
            Way::Down => ("target to client", Budget::AtMost(1.0, 0.75)),
            _ => ("client to target", Budget::AtMost(2.0, 1.3)),
        };
        let megabytes = |transfer: Transfer| transfer.bytes_per_second / 1e6;
        self.table.add(
            &format!("{words}, % of a bare rustls pipe's throughput"),
            100.0 * ours.bytes_per_second / bare.bytes_per_second,
            format!(
                "{} MB/s, pipe {} MB/s",
                short(megabytes(ours)),
                short(megabytes(bare))
            ),
            Budget::AtLeast(70.0, 90.0),
        );
        self.table.add(
            &format!("{words}, CPU s/GB"),
            ours.cpu_per_byte * GIGABYTE,
            format!(
                "pipe {}, {} times",
                short(bare.cpu_per_byte * GIGABYTE),
                short(ours.cpu_per_byte / bare.cpu_per_byte)
            ),
            cpu_bar,
        );
    }

    fn pipe_down(&self, size: usize) -> Transfer {
        let source = Source::start();
        let (pipe, mut peer) = self.start_pipe(Core::Own, Way::Down, source.port);
        source.write(CHECKED_BYTES);
        let mut bytes = Vec::new();
        while bytes.len() < CHECKED_BYTES {
            peer.receive(&mut bytes, None);
        }
        check(&bytes);
        measure(&pipe, size, || {
            source.write(size);
            peer.discard(size);
        })
    }

    fn agent_down(&self, size: usize) -> Transfer {
        let source = Source::start();
        let (agent, mut gateway) = self.start_agent(Core::Own);
        gateway.open_tcp(source.port);
        gateway.connect(1);
        source.write(CHECKED_BYTES);
        let mut bytes = Vec::new();
        gateway.read(&mut bytes, CHECKED_BYTES);
        check(&bytes);
        measure(&agent, size, || {
            source.write(size);
            gateway.discard(size);
        })
    }

    fn pipe_up(&self, size: usize) -> Transfer {
        let sink = Sink::start();
        let (pipe, mut peer) = self.start_pipe(Core::Own, Way::Up, sink.port);
        let period: Vec<u8> = (0..Source::PERIOD).map(targets::pattern).collect();
        sink.check(CHECKED_BYTES);
        for _ in 0..CHECKED_BYTES / period.len() {
            peer.send(&period);
        }
        sink.wait();
        measure(&pipe, size, || {
            sink.drop_bytes(size);
            for _ in 0..size / period.len() {
                peer.send(&period);
            }
            sink.wait();
        })
    }

    fn agent_up(&self, size: usize) -> Transfer {
        let sink = Sink::start();
        let (agent, mut gateway) = self.start_agent(Core::Own);
        gateway.open_tcp(sink.port);
        gateway.connect(1);
        let period: Vec<u8> = (0..Source::PERIOD).map(targets::pattern).collect();
        sink.check(CHECKED_BYTES);
        for _ in 0..CHECKED_BYTES / period.len() {
            for piece in period.chunks(CLIENT_PAYLOAD_BYTES) {
                gateway.write(1, piece);
            }
        }
        sink.wait();
        measure(&agent, size, || {
            sink.drop_bytes(size);
            let payload = &period[..CLIENT_PAYLOAD_BYTES];
            gateway.write_repeatedly(1, payload, size / CLIENT_PAYLOAD_BYTES);
            sink.wait();
        })
    }

    /// From client to target as the real gateway sends: two records for each 32 KiB, at the rate that
    /// it reaches. Beside it a pipe that reads at once, and one that lets bytes gather.
    fn trickle(&mut self) {
        let (rounds, size) = if self.is_quick {
            (1, 64 << 20)
        } else {
            (3, 256 << 20)
        };
        let mut all = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..rounds {
            all[0].push(self.pipe_trickle(Way::Up, size));
            all[1].push(self.pipe_trickle(Way::UpLate, size));
            all[2].push(self.agent_trickle(size));
        }
        let [at_once, late, ours] =
            all.map(|transfers| Transfer::best(&transfers).cpu_per_byte * GIGABYTE);
        self.tail();
        self.requests();
        self.table.add(
            "client to target at 38 MB/s, CPU s/GB",
            ours,
            format!(
                "pipe that reads at once {}, every 6.5 ms {}",
                short(at_once),
                short(late)
            ),
            // To be woken for each record costs more than the pipe that is.
            Budget::AtMost(at_once * 0.85, late * 1.2),
        );
    }

    /// A flow that stops is not held up for long: from the last byte sent to the last received, after
    /// a quarter of a second of it, for ends of many sizes.
    fn tail(&mut self) {
        const FLOW_BYTES: usize = 10 << 20;
        let sizes = [
            1, 17, 1_000, 16_384, 16_385, 40_000, 100_000, 200_000, 300_000,
        ];
        let sink = Sink::start();
        let (_agent, mut gateway) = self.start_agent(Core::Own);
        gateway.open_tcp(sink.port);
        gateway.connect(1);
        let payload = vec![0; CLIENT_PAYLOAD_BYTES];
        let mut worst = Duration::ZERO;
        for size in sizes {
            sink.drop_bytes(FLOW_BYTES + size);
            paced(FLOW_BYTES / payload.len(), || {
                let framed = gateway.framed_write(1, &payload);
                gateway.trickle(&framed);
            });
            for piece in vec![0; size].chunks(CLIENT_PAYLOAD_BYTES) {
                gateway.write(1, piece);
            }
            let start = Instant::now();
            sink.wait();
            worst = worst.max(start.elapsed());
        }
        self.table.add(
            "the end of a flow at 38 MB/s arrives after, ms, worst of 9 sizes",
            worst.as_secs_f64() * 1e3,
            String::new(),
            Budget::AtMost(9.0, 8.0),
        );
    }

    /// Who sends much and waits for its answer flows fast, too, and is not to wait for bytes to gather.
    fn requests(&mut self) {
        const REQUEST_BYTES: usize = 2 * CLIENT_PAYLOAD_BYTES;
        let echo = Echo::start();
        let (_agent, mut gateway) = self.start_agent(Core::Own);
        gateway.open_tcp(echo.port);
        gateway.connect(1);
        let payload = vec![0; CLIENT_PAYLOAD_BYTES];
        let mut answer = Vec::new();
        let mut trips = clocked(300, || {
            for _ in 0..REQUEST_BYTES / payload.len() {
                gateway.write(1, &payload);
            }
            answer.clear();
            gateway.read(&mut answer, REQUEST_BYTES);
        });
        self.table.add(
            "round trip of 64 KiB, one after the other, p50, ms",
            percentile_us(&mut trips, 50) / 1e3,
            format!("p99 {}", short(percentile_us(&mut trips, 99) / 1e3)),
            Budget::AtMost(3.0, 1.0),
        );
    }

    fn pipe_trickle(&self, way: Way, size: usize) -> Transfer {
        let sink = Sink::start();
        let (pipe, mut peer) = self.start_pipe(Core::Own, way, sink.port);
        let payload: Vec<u8> = (0..CLIENT_PAYLOAD_BYTES).map(targets::pattern).collect();
        measure(&pipe, size, || {
            sink.drop_bytes(size);
            paced(size / payload.len(), || peer.trickle(&payload));
            sink.wait();
        })
    }

    fn agent_trickle(&self, size: usize) -> Transfer {
        let sink = Sink::start();
        let (agent, mut gateway) = self.start_agent(Core::Own);
        gateway.open_tcp(sink.port);
        gateway.connect(1);
        let payload: Vec<u8> = (0..CLIENT_PAYLOAD_BYTES).map(targets::pattern).collect();
        measure(&agent, size, || {
            sink.drop_bytes(size);
            paced(size / payload.len(), || {
                let framed = gateway.framed_write(1, &payload);
                gateway.trickle(&framed);
            });
            sink.wait();
        })
    }

    /// On the core of gateway and target the relay's own work is measured; on another core, above
    /// all how fast the machine wakes one that sleeps.
    fn round_trip(&mut self) {
        for (core, words) in [(Core::Shared, "one core"), (Core::Own, "two cores")] {
            let mut trips = self.trips(core);
            for (percentile, bar, reach) in [(50, 60.0, 30.0), (99, 200.0, 100.0)] {
                let [direct, bare, ours] = trips
                    .each_mut()
                    .map(|trips| percentile_us(trips, percentile));
                self.table.add(
                    &format!("added to a small round trip, {words}, p{percentile}, us"),
                    ours - direct,
                    format!(
                        "{} in all, direct {}, pipe adds {}",
                        short(ours),
                        short(direct),
                        short(bare - direct)
                    ),
                    match core {
                        Core::Shared => Budget::AtMost(bar, reach),
                        Core::Own => Budget::None,
                    },
                );
            }
        }
    }

    /// Round trips without a relay, through the bare pipe, and through the agent, in turns.
    fn trips(&self, core: Core) -> [Vec<Duration>; 3] {
        let (batches, per_batch) = if self.is_quick { (5, 200) } else { (20, 500) };
        let echo = Echo::start();
        let (_agent, mut gateway) = self.start_agent(core);
        gateway.open_tcp(echo.port);
        gateway.connect(1);
        let (_pipe, mut peer) = self.start_pipe(core, Way::PingPong, echo.port);
        let mut direct = TcpStream::connect(("127.0.0.1", echo.port)).unwrap();
        direct.set_nodelay(true).unwrap();
        let message = [7; SMALL_BYTES];
        let mut answer = Vec::new();
        let mut trips = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..batches {
            trips[0].extend(clocked(per_batch, || {
                direct.write_all(&message).unwrap();
                direct.read_exact(&mut [0; SMALL_BYTES]).unwrap();
            }));
            trips[1].extend(clocked(per_batch, || {
                peer.send(&message);
                answer.clear();
                while answer.len() < SMALL_BYTES {
                    peer.receive(&mut answer, None);
                }
            }));
            trips[2].extend(clocked(per_batch, || {
                gateway.write(1, &message);
                answer.clear();
                gateway.read(&mut answer, SMALL_BYTES);
            }));
        }
        trips
    }

    fn start(&mut self) {
        let mut times = Vec::new();
        let mut cpu = Vec::new();
        for _ in 0..if self.is_quick { 5 } else { 20 } {
            let mut command = self.agent_command();
            command.stderr(Stdio::piped());
            let start = Instant::now();
            let mut agent = self.launcher.run(Core::Own, command);
            let _gateway = Gateway::accept(&self.listener, &self.identity);
            agent.wait_line("connected with success");
            times.push(start.elapsed());
            cpu.push(agent.cpu());
        }
        let reference = format!(
            "fastest {}, slowest {}",
            short(percentile_us(&mut times, 0) / 1e3),
            short(percentile_us(&mut times, 100) / 1e3)
        );
        self.table.add(
            "start to connected, ms, median",
            percentile_us(&mut times, 50) / 1e3,
            reference,
            Budget::AtMost(15.0, 5.0),
        );
        self.table.add(
            "start to connected, CPU ms",
            percentile_us(&mut cpu, 50) / 1e3,
            String::new(),
            Budget::AtMost(8.0, 5.0),
        );
    }

    fn execs(&mut self) {
        const COUNT: usize = 100;
        const AT_ONCE: usize = 10;
        let (agent, mut gateway) = self.start_agent(Core::Own);
        let (start, cpu) = (Instant::now(), agent.cpu());
        let mut running = HashSet::new();
        let mut started = 0;
        while started < COUNT || !running.is_empty() {
            while started < COUNT && running.len() < AT_ONCE {
                let session = format!("exec-{started}");
                gateway.start_command(&session, &["true"]);
                running.insert(session);
                started += 1;
            }
            if let Said::Closed { session, text } = gateway.hear(None) {
                assert_eq!(text, "", "{session}");
                running.remove(&session);
            }
        }
        self.table.add(
            "100 execs ten at a time, agent CPU ms",
            (agent.cpu() - cpu).as_secs_f64() * 1e3,
            format!("{} ms in all", short(start.elapsed().as_secs_f64() * 1e3)),
            Budget::None,
        );
    }

    fn relays(&mut self) {
        let echo = Echo::start();
        let (agent, mut gateway) = self.start_agent(Core::Own);
        gateway.open_tcp(echo.port);
        gateway.attend(SETTLE);
        self.table.add(
            "resident, connected and idle, MiB",
            mebibytes(&agent),
            String::new(),
            Budget::AtMost(3.0, 2.0),
        );
        for (from, to, bar, reach) in [(0, 1000, 8.0, 4.0), (1000, 10_000, 64.0, 24.0)] {
            open_relays(&mut gateway, from, to);
            gateway.attend(SETTLE);
            self.table.add(
                &format!("resident, {to} relays idle after an echo, MiB"),
                mebibytes(&agent),
                String::new(),
                Budget::AtMost(bar, reach),
            );
        }
    }

    fn idle(&mut self) {
        let sample = Duration::from_secs(if self.is_quick { 20 } else { 60 });
        let (agent, mut gateway) = self.start_agent(Core::Own);
        gateway.attend(SETTLE);
        let before = (agent.switches(), agent.cpu());
        gateway.attend(sample);
        let minutes = sample.as_secs_f64() / 60.0;
        let used = (agent.cpu() - before.1).as_secs_f64() * 1e3 / minutes;
        self.table.add(
            "idle, context switches a minute",
            (agent.switches() - before.0) as f64 / minutes,
            format!("{} ms of CPU a minute", short(used)),
            Budget::AtMost(12.0, 7.0),
        );
    }
}

/// The pattern, period by period.
fn check(bytes: &[u8]) {
    for period in bytes.chunks(Source::PERIOD) {
        assert_pattern(period, 0);
    }
}

/// Sends `count` packets at the rate of [`TRICKLE_BYTES_PER_SECOND`].
fn paced(count: usize, mut send: impl FnMut()) {
    let start = Instant::now();
    for number in 0..count {
        let due = (number * CLIENT_PAYLOAD_BYTES) as f64 / TRICKLE_BYTES_PER_SECOND;
        std::thread::sleep(
            (start + Duration::from_secs_f64(due)).saturating_duration_since(Instant::now()),
        );
        send();
    }
}

fn clocked(count: usize, mut run: impl FnMut()) -> Vec<Duration> {
    let one = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..count).map(one).collect()
}

fn percentile_us(times: &mut [Duration], percentile: usize) -> f64 {
    times.sort();
    times[(times.len() - 1) * percentile / 100].as_secs_f64() * 1e6
}

fn mebibytes(process: &Process) -> f64 {
    process.resident() as f64 / 1024.0
}

/// Opens relays, some at a time, each with one echo.
fn open_relays(gateway: &mut Gateway, from: usize, to: usize) {
    const AT_ONCE: usize = 100;
    let message = [7; SMALL_BYTES];
    let mut next = from;
    let mut waiting = HashSet::new();
    while next < to || !waiting.is_empty() {
        while next < to && waiting.len() < AT_ONCE {
            gateway.connect(next);
            gateway.write(next, &message);
            waiting.insert(next);
            next += 1;
        }
        if let Said::Bytes { connection, bytes } = gateway.hear(None) {
            assert_eq!(bytes, message);
            waiting.remove(&connection);
        }
    }
}
