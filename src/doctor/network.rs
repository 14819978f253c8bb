//! The way to the gateway, step by step, as the agent would go it.

use std::io;
use std::time::{Duration, Instant};

use super::calls::{CallError, Caller};
use super::certificate::Certificate;
use super::clock;
use super::report::{CheckReport, CheckVerdict};
use crate::admin::dial::{
    DialError, Duplex, TimedTcp, TlsStream, ask_for_tunnel, connect_through, connect_to,
    connect_to_proxy, handshake,
};
use crate::base::near::is_near;
use crate::base::{Roots, Trust, Verify};
use crate::config::{Config, Mode, Proxy, TlsMode};
use crate::grpc::{Code, Status};
use crate::io::dial::advice;
use crate::link::{AgentIdentity, LinkError, proxy_advice};
use crate::os::resolve::resolve_now;
use crate::tls::{Alpn, Configuration, Subject, Versions};

/// Checks of the way, in their order.
pub const CHECKS: [&str; 8] = [
    "dns", "tcp", "proxy", "tls", "alpn", "http2", "grpc", "auth",
];
/// From the first byte of TLS to the last of a call.
const TALK_TIMEOUT: Duration = Duration::from_secs(10);
/// A certificate that ends sooner is worth a word.
const RENEW_SECONDS: u64 = 14 * 86_400;
/// Certificates of a chain that are named.
const CHAIN_SHOWN: usize = 4;
const USER_AGENT: &str = concat!("hoop-lite/", env!("CARGO_PKG_VERSION"));

/// The way ends after this check.
struct Stop(&'static str);

/// Walks to the gateway and shows the key.
pub fn check(report: &mut CheckReport<'_>, config: &Config) {
    let mut walk = Walk { report, config };
    if let Err(Stop(failed)) = walk.all() {
        let rest = CHECKS.iter().position(|check| *check == failed);
        let rest = rest
            .and_then(|failed| CHECKS.get(failed + 1..))
            .unwrap_or_default();
        report.skip(rest, &format!("{failed} failed"));
    }
}

struct Walk<'a, 'b> {
    report: &'a mut CheckReport<'b>,
    config: &'a Config,
}

impl Walk<'_, '_> {
    fn all(&mut self) -> Result<(), Stop> {
        let stream = match &self.config.proxy {
            Some(proxy) => self.through_proxy(proxy)?,
            None => self.directly()?,
        };
        let stream = self.tls(stream)?;
        let mut caller = self.http2(stream)?;
        let healthy = self.health(&mut caller);
        let accepted = healthy.and_then(|()| self.key(&mut caller));
        caller.finish();
        accepted
    }

    fn add(&mut self, check: &'static str, verdict: CheckVerdict, start: Instant, text: &str) {
        self.report.add(check, verdict, start.elapsed(), text);
    }

    fn fail<T>(&mut self, check: &'static str, start: Instant, text: &str) -> Result<T, Stop> {
        self.add(check, CheckVerdict::Fail, start, text);
        Err(Stop(check))
    }

    fn directly(&mut self) -> Result<TimedTcp, Stop> {
        let gateway = &self.config.gateway;
        let start = Instant::now();
        let addresses = match resolve_now(&gateway.host, gateway.port, start + TALK_TIMEOUT) {
            Ok(addresses) => addresses,
            Err(error) => {
                let text = format!("{}: {error}: {}", gateway.host, error.advice());
                return self.fail("dns", start, &text);
            }
        };
        let v6 = addresses.iter().filter(|address| address.is_ipv6()).count();
        let v4 = addresses.len() - v6;
        let text = format!("{}: {v4} IPv4, {v6} IPv6", gateway.host);
        self.add("dns", CheckVerdict::Ok, start, &text);
        let far = addresses.iter().find(|address| !is_near(address.ip()));
        if let Some(far) = far.filter(|_| self.config.leaves_plaintext_to_lookup()) {
            let text = format!(
                "no TLS to {far}: the key and all sessions cross the network readable by anybody \
                 on the way; use a grpcs:// key"
            );
            if self.config.settings.refuse_plaintext {
                return self.fail("dns", start, &text);
            }
            self.add("dns", CheckVerdict::Warn, start, &text);
        }

        let tried: Vec<_> = addresses
            .into_iter()
            .map(|address| {
                let start = Instant::now();
                let outcome = connect_to(address, start + TALK_TIMEOUT);
                (address, start.elapsed(), outcome)
            })
            .collect();
        let reached_one = tried.iter().any(|(_, _, outcome)| outcome.is_ok());
        let mut first = None;
        for (address, took, outcome) in tried {
            let (verdict, text) = match outcome {
                Ok(stream) => {
                    first.get_or_insert(stream);
                    (CheckVerdict::Ok, address.to_string())
                }
                Err(kind) => {
                    // The agent goes on to the next address.
                    let verdict = if reached_one {
                        CheckVerdict::Warn
                    } else {
                        CheckVerdict::Fail
                    };
                    (verdict, format!("{address}: {kind}: {}", advice(kind)))
                }
            };
            self.report.add("tcp", verdict, took, &text);
        }
        let stream = first.ok_or(Stop("tcp"))?;
        self.add(
            "proxy",
            CheckVerdict::Ok,
            Instant::now(),
            "none for this gateway",
        );
        Ok(stream)
    }

    fn through_proxy(&mut self, proxy: &Proxy) -> Result<TimedTcp, Stop> {
        let is_left_to_proxy = "left to the proxy";
        self.report.skip(&["dns", "tcp"], is_left_to_proxy);
        let start = Instant::now();
        let address = &proxy.address;
        let mut stream = match connect_to_proxy(proxy, start + TALK_TIMEOUT) {
            Ok(stream) => stream,
            Err(error) => {
                let gateway = &self.config.gateway;
                let text = format!("no connection to {gateway} through the proxy {error}");
                return self.fail("proxy", start, &text);
            }
        };
        if let Err(refusal) = ask_for_tunnel(&mut stream, proxy, &self.config.gateway) {
            return self.fail("proxy", start, &format!("{address}: {refusal}"));
        }
        self.add(
            "proxy",
            CheckVerdict::Ok,
            start,
            &format!("tunnel through {address}"),
        );
        Ok(stream)
    }

    /// Another connection, to find out what the other side would have liked.
    fn dial_again(&self) -> Result<TimedTcp, DialError> {
        let deadline = Instant::now() + TALK_TIMEOUT;
        connect_through(self.config.proxy.as_ref(), &self.config.gateway, deadline)
    }

    fn tls(&mut self, mut stream: TimedTcp) -> Result<Box<dyn Duplex>, Stop> {
        let start = Instant::now();
        stream.set_deadline(start + TALK_TIMEOUT);
        let TlsMode::Tls { trust, .. } = &self.config.tls else {
            self.add(
                "tls",
                CheckVerdict::Ok,
                start,
                "none: the key asks for plaintext",
            );
            self.report.skip(&["alpn"], "no TLS");
            return Ok(Box::new(stream));
        };
        let configuration = match Configuration::new(trust, Alpn::H2, Versions::Any) {
            Ok(configuration) => configuration,
            Err(error) => return self.fail("tls", start, &error.to_string()),
        };
        let mut stream = match handshake(stream, configuration, self.config.server_name()) {
            Ok(stream) => stream,
            Err(error) => {
                let text = self.explain_handshake(&error);
                return self.fail("tls", start, &text);
            }
        };
        let (verdict, text) = describe(&stream, trust);
        self.add("tls", verdict, start, &text);
        let start = Instant::now();
        match stream.tls().alpn() {
            Some(b"h2") => self.add("alpn", CheckVerdict::Ok, start, "h2"),
            _ => return self.fail("alpn", start, Subject::GATEWAY.no_protocol),
        }
        stream.set_deadline(start + TALK_TIMEOUT);
        Ok(Box::new(stream))
    }

    fn explain_handshake(&self, error: &DialError) -> String {
        if matches!(error, DialError::Handshake(io::ErrorKind::TimedOut)) {
            return error.to_string();
        }
        if !matches!(error, DialError::Tls(error) if error.is_distrust()) {
            let plain = self
                .dial_again()
                .map(|stream| Caller::start(Box::new(stream), self.identity()));
            return match plain {
                Ok(Ok(_)) => "the gateway speaks plaintext HTTP/2 on this port: use a key whose \
                              scheme is grpc://, or give the gateway a certificate"
                    .to_owned(),
                _ => error.to_string(),
            };
        }
        let shown = self.handshake_with_anybody().ok();
        match shown.as_ref().map(chain).filter(|chain| !chain.is_empty()) {
            Some(chain) => format!("{error} (shown: {chain})"),
            None => error.to_string(),
        }
    }

    /// Nothing is sent over it: it only shows whom we would have talked to.
    fn handshake_with_anybody(&self) -> Result<TlsStream, DialError> {
        let anybody = Trust {
            roots: Roots::Public,
            verify: Verify::Nobody,
        };
        let failed = |_| DialError::Io(io::ErrorKind::Other);
        let configuration =
            Configuration::new(&anybody, Alpn::H2, Versions::Any).map_err(failed)?;
        handshake(self.dial_again()?, configuration, self.config.server_name())
    }

    fn http2(&mut self, stream: Box<dyn Duplex>) -> Result<Caller, Stop> {
        let start = Instant::now();
        match Caller::start(stream, self.identity()) {
            Ok(caller) => {
                self.add("http2", CheckVerdict::Ok, start, "SETTINGS received");
                Ok(caller)
            }
            Err(error) => {
                let is_tls = self.config.tls == TlsMode::Plaintext
                    && matches!(error, CallError::Closed | CallError::Io(_))
                    && self.handshake_with_anybody().is_ok();
                let text = if is_tls {
                    "the gateway speaks TLS on this port: use a key whose scheme is grpcs://"
                        .to_owned()
                } else {
                    error.to_string()
                };
                self.fail("http2", start, &text)
            }
        }
    }

    fn identity(&self) -> AgentIdentity {
        let server_name = match &self.config.tls {
            TlsMode::Tls { server_name, .. } => server_name.as_ref(),
            TlsMode::Plaintext => None,
        };
        AgentIdentity {
            is_encrypted: self.config.tls != TlsMode::Plaintext,
            authority: server_name
                .unwrap_or(&self.config.gateway.authority)
                .clone(),
            token: self.config.token.clone(),
            metadata: Vec::new(),
            preconnect: Vec::new(),
            user_agent: USER_AGENT.to_owned(),
        }
    }

    fn health(&mut self, caller: &mut Caller) -> Result<(), Stop> {
        let start = Instant::now();
        let answer = match caller.ask_health() {
            Ok(answer) => answer,
            Err(CallError::Status(status))
                if status.code == Code::Unimplemented && status.http.is_none() =>
            {
                let text = "the gateway is older than HealthCheck, which does no harm";
                self.add("grpc", CheckVerdict::Ok, start, text);
                return Ok(());
            }
            Err(error) => {
                let text = format!("HealthCheck: {error}: {}", call_advice(&error));
                return self.fail("grpc", start, &text);
            }
        };
        match &answer.status[..] {
            "OK" => self.add("grpc", CheckVerdict::Ok, start, "HealthCheck OK"),
            status => {
                let text = format!("HealthCheck {status:?}: look into the gateway's log");
                self.add("grpc", CheckVerdict::Warn, start, &text);
            }
        }
        let now = clock::now();
        let date = answer.date.as_deref();
        if let Some(other) = date.and_then(|date| clock::other_time(now, date)) {
            let here = clock::text(now);
            let text = format!("here it is {here}, at the gateway {other}: set this clock");
            self.add("clock", CheckVerdict::Warn, start, &text);
        }
        Ok(())
    }

    fn key(&mut self, caller: &mut Caller) -> Result<(), Stop> {
        let start = Instant::now();
        match caller.ask_key() {
            Ok(_) => self.add(
                "auth",
                CheckVerdict::Ok,
                start,
                "the gateway accepts the key",
            ),
            Err(CallError::Status(status)) if status.http.is_none() => {
                let (verdict, text) = explain_refusal(&status, self.config.mode);
                self.add("auth", verdict, start, &text);
            }
            Err(error) => {
                let text = format!("{error}: {}", call_advice(&error));
                return self.fail("auth", start, &text);
            }
        }
        Ok(())
    }
}

/// What an answer to the key means. Other's words are part of the text, the key is not.
fn explain_refusal(status: &Status, mode: Mode) -> (CheckVerdict, String) {
    match status.code {
        Code::Unauthenticated if status.message.contains("mismatch dsn") => (
            CheckVerdict::Fail,
            format!("{status}: the key's name is not the agent's: use the key as it was printed"),
        ),
        Code::Unauthenticated => (
            CheckVerdict::Fail,
            format!(
                "{status}: the gateway does not know this key, it was deleted or is not complete: \
                 create one with `hoop-lite admin create agent NAME`"
            ),
        ),
        Code::FailedPrecondition if status.message.contains("connection-name") => {
            let hint = match mode {
                Mode::MultiConnection | Mode::Unknown => "",
                Mode::Standard | Mode::Embedded => ", start it with `hoop-lite run`",
            };
            (
                CheckVerdict::Ok,
                format!("the gateway accepts the organisation's key{hint}"),
            )
        }
        Code::Unimplemented => (
            CheckVerdict::Warn,
            "the gateway is older than PreConnect, so the key was not tried: start the agent to \
             see"
            .to_owned(),
        ),
        _ => (
            CheckVerdict::Fail,
            format!("{status}: look into the gateway's log"),
        ),
    }
}

fn call_advice(error: &CallError) -> &'static str {
    match error {
        CallError::Status(status) => match (status.http, status.code) {
            (Some(http), _) => proxy_advice(http),
            (None, Code::Unavailable) => {
                "the proxy or load balancer in front does not reach the gateway"
            }
            _ => "look into the gateway's log",
        },
        CallError::Unreadable(LinkError::Packet(_)) => "check that this is a hoop gateway",
        _ => "check what stands between here and the gateway",
    }
}

/// Protocol, cipher, chain and dates of a connection that was believed.
fn describe(stream: &TlsStream, trust: &Trust) -> (CheckVerdict, String) {
    let (protocol, cipher) = stream.tls().describe().unwrap_or(("", "?"));
    let protocol = match protocol {
        "TLSv1_3" => "TLS 1.3",
        _ => "TLS 1.2",
    };
    let text = format!("{protocol} {cipher}; {}", chain(stream));
    if trust.verify == Verify::Nobody {
        let advice = "; NOT verified: set HOOP_TLSCA instead of HOOP_TLS_SKIP_VERIFY";
        return (CheckVerdict::Warn, text + advice);
    }
    let soon = clock::text(clock::now().saturating_add(RENEW_SECONDS));
    match certificates(stream).next() {
        Some(certificate) if certificate.not_after <= soon => {
            (CheckVerdict::Warn, text + "; it ends soon: renew it")
        }
        _ => (CheckVerdict::Ok, text),
    }
}

fn certificates(stream: &TlsStream) -> impl Iterator<Item = Certificate> {
    stream.tls().certificates().filter_map(Certificate::parse)
}

/// `gw, signed by lab-ca, valid 2026-01-01T00:00:00Z to 2027-01-01T00:00:00Z`, and who else came.
fn chain(stream: &TlsStream) -> String {
    let mut text = String::new();
    for (index, certificate) in certificates(stream).take(CHAIN_SHOWN).enumerate() {
        let Certificate {
            subject,
            issuer,
            not_before,
            not_after,
        } = certificate;
        if index == 0 {
            text = format!("{subject:?} signed by {issuer:?}, valid {not_before} to {not_after}");
        } else {
            text.push_str(&format!(", {subject:?} signed by {issuer:?}"));
        }
    }
    text
}
