//! What a web service costs, beside nginx as a reverse proxy in front of the same service, in the same run: both
//! speak TLS with the user's side, both keep connections, neither writes a log or a file.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::gateway::{CLIENT_URL, LISTENER_URL};
use super::house::serve;
use super::process::{Core, Process, command};
use super::table::{Budget, short};
use super::{Bench, CLIENT_PAYLOAD_BYTES, GIGABYTE, SETTLE, Transfer, measure};

/// Sockets of users who ask at the same time.
const USERS: usize = 10;
const SMALL_BYTES: usize = 1024;
const WEBSOCKETS: usize = 1000;

const ASK_SMALL: &[u8] = b"GET /1024 HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n";
const SWITCH: &[u8] =
    b"GET /switch HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// All rows of this group.
pub fn measure_all(bench: &mut Bench) {
    requests(bench);
    transfers(bench, "download", download, 1.5);
    transfers(bench, "upload", upload, 1.5);
    idle(bench);
}

fn requests(bench: &mut Bench) {
    let (rounds, count) = if bench.is_quick {
        (2, 4000)
    } else {
        (4, 20_000)
    };
    let mut best = [f64::MAX; 3];
    for _ in 0..rounds {
        let port = serve(talk);
        best[0] = best[0].min(cpu_by_agent(bench, port, CLIENT_URL, count));
        best[1] = best[1].min(cpu_by_agent(bench, port, LISTENER_URL, count));
        if let Some(nginx) = Nginx::start(bench, port) {
            best[2] = best[2].min(cpu_by_nginx(&nginx, count));
        }
    }
    let [client, listener, nginx] = best.map(|seconds| seconds * 1e6);
    for (words, value) in [("client", client), ("listener", listener)] {
        bench.table.add(
            &format!("web, request of 1 KB by the {words}, agent CPU us"),
            value,
            beside(nginx),
            Budget::AtMost(120.0, 60.0),
        );
    }
}

fn beside(nginx: f64) -> String {
    match nginx < 1e9 {
        true => format!("nginx {}", short(nginx)),
        false => "no nginx here".to_owned(),
    }
}

fn cpu_by_agent(bench: &Bench, port: u16, base_url: &'static str, count: usize) -> f64 {
    let (agent, mut gateway) = bench.start_agent(Core::Own);
    gateway.open_web(port, base_url);
    let is_listener = base_url == LISTENER_URL;
    let mut next_id = USERS;
    let mut answer_bytes = 0;
    gateway.write(1, ASK_SMALL);
    while answer_bytes < SMALL_BYTES {
        answer_bytes += gateway.next_bytes().1;
    }
    let mut ask = |count: usize| {
        let mut got = std::collections::HashMap::new();
        let (mut asked, mut done) = (0, 0);
        for user in 1..=USERS.min(count) {
            next_id += 1;
            let id = if is_listener { next_id } else { user };
            gateway.write(id, ASK_SMALL);
            asked += 1;
        }
        while done < count {
            let (id, size) = gateway.next_bytes();
            let got_bytes = got.entry(id).or_insert(0);
            *got_bytes += size;
            if *got_bytes == answer_bytes {
                got.remove(&id);
                done += 1;
                if asked < count {
                    next_id += 1;
                    let id = if is_listener { next_id } else { id };
                    gateway.write(id, ASK_SMALL);
                    asked += 1;
                }
            }
        }
    };
    ask(USERS * 20);
    let before = agent.cpu();
    ask(count);
    (agent.cpu() - before).as_secs_f64() / count as f64
}

fn cpu_by_nginx(nginx: &Nginx, count: usize) -> f64 {
    let mut users: Vec<_> = (0..USERS).map(|_| nginx.connect()).collect();
    let mut ask = |rounds: usize| {
        for _ in 0..rounds {
            for user in &mut users {
                user.write_all(ASK_SMALL).unwrap();
            }
            for user in &mut users {
                read_answer(user);
            }
        }
    };
    ask(20);
    let before = nginx.process.cpu();
    ask(count / USERS);
    (nginx.process.cpu() - before).as_secs_f64() / count as f64
}

/// One measured transfer through the agent, or through nginx.
type Move = fn(&Bench, Way<'_>, usize) -> Transfer;

#[derive(Clone, Copy)]
enum Way<'a> {
    /// To a service at this port.
    Agent(u16),
    Nginx(&'a Nginx),
}

fn transfers(bench: &mut Bench, words: &str, run: Move, bar: f64) {
    let (rounds, size) = if bench.is_quick {
        (2, 128 << 20)
    } else {
        (4, 512 << 20)
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let port = serve(talk);
        ours.push(run(bench, Way::Agent(port), size));
        if let Some(nginx) = Nginx::start(bench, port) {
            theirs.push(run(bench, Way::Nginx(&nginx), size));
        }
    }
    let per_gigabyte = |all: &[Transfer]| Transfer::best(all).cpu_per_byte * GIGABYTE;
    let reference = match theirs.is_empty() {
        true => beside(f64::MAX),
        false => beside(per_gigabyte(&theirs)),
    };
    bench.table.add(
        &format!("web, {words}, agent CPU s/GB"),
        per_gigabyte(&ours),
        reference,
        Budget::AtMost(bar, bar * 0.6),
    );
}

fn download(bench: &Bench, way: Way<'_>, size: usize) -> Transfer {
    let asks = format!("GET /{size} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    match way {
        Way::Agent(port) => {
            let (agent, mut gateway) = bench.start_agent(Core::Own);
            gateway.open_web(port, CLIENT_URL);
            gateway.write(1, asks.as_bytes());
            measure(&agent, size, || gateway.discard(size))
        }
        Way::Nginx(nginx) => {
            let mut user = nginx.connect();
            user.write_all(asks.as_bytes()).unwrap();
            measure(&nginx.process, size, || read_answer(&mut user))
        }
    }
}

fn upload(bench: &Bench, way: Way<'_>, size: usize) -> Transfer {
    let payload = vec![b'u'; CLIENT_PAYLOAD_BYTES];
    let count = size / payload.len();
    let head = format!("POST /up HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n");
    match way {
        Way::Agent(port) => {
            let (agent, mut gateway) = bench.start_agent(Core::Own);
            gateway.open_web(port, CLIENT_URL);
            gateway.write(1, head.as_bytes());
            measure(&agent, size, || {
                gateway.write_repeatedly(1, &payload, count);
                gateway.next_bytes();
            })
        }
        Way::Nginx(nginx) => {
            let mut user = nginx.connect();
            user.write_all(head.as_bytes()).unwrap();
            measure(&nginx.process, size, || {
                for _ in 0..count {
                    user.write_all(&payload).unwrap();
                }
                read_answer(&mut user);
            })
        }
    }
}

fn idle(bench: &mut Bench) {
    let port = serve(talk);
    let (agent, mut gateway) = bench.start_agent(Core::Own);
    gateway.open_web(port, LISTENER_URL);
    gateway.attend(SETTLE);
    let before = agent.resident();
    for id in 1..=WEBSOCKETS {
        gateway.write(id, SWITCH);
        while gateway.next_bytes().0 != id {}
    }
    gateway.attend(SETTLE);
    let grown = agent.resident().saturating_sub(before) as f64;
    let per_hundred = 100.0 / WEBSOCKETS as f64;
    bench.table.add(
        "web, resident, 100 idle WebSockets, KiB",
        grown * per_hundred,
        format!("of {WEBSOCKETS}"),
        Budget::AtMost(800.0, 300.0),
    );
}

/// nginx with the same task, on the agent's core. Not there: no comparison.
struct Nginx {
    process: Process,
    port: u16,
    trust: Arc<ClientConfig>,
    folder: PathBuf,
}

impl Nginx {
    fn start(bench: &Bench, service: u16) -> Option<Self> {
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"];
        let program = program
            .into_iter()
            .find(|path| PathBuf::from(path).exists())?;
        let port = {
            let free = TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let folder =
            std::env::temp_dir().join(format!("hoop-lite-bench-{}-{port}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let identity = &bench.identity;
        std::fs::write(folder.join("leaf.pem"), &identity.leaf_pem).unwrap();
        std::fs::write(folder.join("key.pem"), &identity.key_pem).unwrap();
        let at = folder.display();
        let settings = format!(
            "daemon off; master_process off; worker_processes 1; pid {at}/pid; error_log {at}/log;
            events {{ worker_connections 4096; }}
            http {{
              access_log off; keepalive_requests 1000000; tcp_nodelay on;
              client_max_body_size 0; client_body_temp_path {at}; proxy_temp_path {at};
              fastcgi_temp_path {at}; uwsgi_temp_path {at}; scgi_temp_path {at};
              upstream service {{ server 127.0.0.1:{service}; keepalive 64; keepalive_requests 1000000; }}
              server {{
                listen 127.0.0.1:{port} ssl;
                ssl_certificate {at}/leaf.pem; ssl_certificate_key {at}/key.pem;
                location / {{
                  proxy_pass http://service; proxy_http_version 1.1; proxy_set_header Connection '';
                  proxy_request_buffering off; proxy_max_temp_file_size 0;
                }}
              }}
            }}"
        );
        let file = folder.join("nginx.conf");
        std::fs::write(&file, settings).unwrap();
        let words = ["-c", file.to_str().unwrap(), "-e", "stderr"];
        let process = bench.launcher.run(Core::Own, command(program, &words, &[]));
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(identity.authority_pem.as_bytes()).unwrap();
        roots.add(authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trust = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let nginx = Self {
            process,
            port,
            trust: Arc::new(trust),
            folder,
        };
        // It listens when somebody can connect.
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            thread::sleep(std::time::Duration::from_millis(10));
        }
        Some(nginx)
    }

    fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let socket = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        socket.set_nodelay(true).unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let tls = ClientConnection::new(self.trust.clone(), name).unwrap();
        StreamOwned::new(tls, socket)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Reads one answer to its end.
fn read_answer(stream: &mut impl Read) {
    let mut buffer = vec![0; 256 * 1024];
    let mut head = Vec::new();
    let end = loop {
        let size = stream.read(&mut buffer).unwrap();
        assert!(size > 0, "cut");
        head.extend_from_slice(&buffer[..size]);
        if let Some(at) = head.windows(4).position(|at| at == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let mut left = length(&head[..end]) - (head.len() - end);
    while left > 0 {
        let size = stream.read(&mut buffer).unwrap();
        assert!(size > 0, "cut");
        left -= size;
    }
}

fn length(head: &[u8]) -> usize {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let value = text.split("content-length: ").nth(1);
    value.map_or(0, |rest| {
        rest.split("\r\n").next().unwrap().parse().unwrap()
    })
}

/// A service: `/N` is N bytes, a POST is read, and whoever wants to switch protocols may.
fn talk(mut socket: TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let body = vec![b'd'; 256 * 1024];
    let (mut input, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let end = loop {
            if let Some(at) = input.windows(4).position(|at| at == b"\r\n\r\n") {
                break at + 4;
            }
            let size = socket.read(&mut buffer)?;
            if size == 0 {
                return Ok(());
            }
            input.extend_from_slice(&buffer[..size]);
        };
        let head: Vec<u8> = input.drain(..end).collect();
        let target = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
        if target == b"/switch" {
            socket.write_all(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")?;
            while socket.read(&mut buffer)? > 0 {}
            return Ok(());
        }
        let mut left = length(&head).saturating_sub(input.len());
        input.clear();
        while left > 0 {
            left -= socket.read(&mut buffer)?.min(left);
        }
        let path = String::from_utf8_lossy(target).into_owned();
        let mut size: usize = path[1..].parse().unwrap_or(0);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {size}\r\n\r\n"
        );
        let first = size.min(SMALL_BYTES);
        socket.write_all(&[answer.as_bytes(), &body[..first]].concat())?;
        size -= first;
        while size > 0 {
            let now = size.min(body.len());
            socket.write_all(&body[..now])?;
            size -= now;
        }
    }
}
