//! A database's end of a connection that may go over to TLS, in memory: what a socket brings goes in, what it is
//! to carry comes out.

use std::io::{Read, Write};
use std::sync::Arc;

use tokio_rustls::rustls::{HandshakeKind, ServerConfig, ServerConnection};

use crate::identity::Identity;
use crate::{Security, mongo, mssql, mysql, postgres};

/// A server's certificate, and the authority that signed it.
#[derive(Clone)]
pub struct Certificate {
    config: Arc<ServerConfig>,
    /// The authority.
    pub ca_pem: String,
    /// A client's certificate and key, where one is asked for.
    pub client_pem: String,
}

impl Certificate {
    /// For these names.
    pub fn new(names: &[&str]) -> Self {
        Self::with(names, Security::Tls)
    }

    /// For these names; clients have to show a certificate that the same authority has signed, as
    /// [`Certificate::client_pem`] is.
    pub fn that_asks_for_one(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (identity, client_pem) = Identity::that_asks_for_one(&names);
        Self {
            config: identity.config,
            ca_pem: identity.ca_pem,
            client_pem,
        }
    }

    /// For these names, with these versions.
    pub fn with(names: &[&str], security: Security) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let Identity { config, ca_pem } = Identity::kept(None, &names, security);
        let mut config = (*config).clone();
        config.alpn_protocols.clear();
        let config = Arc::new(config);
        Self {
            config,
            ca_pem,
            client_pem: String::new(),
        }
    }
}

/// Who speaks within.
pub enum Speaker {
    /// PostgreSQL.
    Postgres(postgres::Server),
    /// MySQL.
    Mysql(mysql::Server),
    /// MongoDB.
    Mongo(mongo::Server),
    /// SQL Server.
    Mssql(mssql::Server),
}

/// One connection.
pub struct Secure {
    /// Who speaks.
    pub speaker: Speaker,
    /// What it says before it has heard anything.
    pub greeting: Vec<u8>,
    certificate: Certificate,
    tls: Option<ServerConnection>,
    /// The handshake lies in SQL Server's packets.
    envelope: Option<Envelope>,
    /// The beginning of one of its records.
    record: Vec<u8>,
    has_been_secure: bool,
    /// TLS that can't go on: nothing is said any more.
    pub is_broken: bool,
    /// The other side said goodbye within TLS.
    pub has_heard_goodbye: bool,
}

impl Secure {
    /// A connection was accepted.
    pub fn new(speaker: Speaker, certificate: &Certificate) -> Self {
        Self {
            speaker,
            greeting: Vec::new(),
            certificate: certificate.clone(),
            tls: None,
            envelope: None,
            record: Vec::new(),
            has_been_secure: false,
            is_broken: false,
            has_heard_goodbye: false,
        }
    }

    /// What goes out for `bytes` that came in.
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        if let Speaker::Mssql(server) = &mut self.speaker
            && server.begins_with_tls()
            && !server.is_secure
            && bytes.first() == Some(&TLS_HANDSHAKE)
        {
            server.is_secure = true;
            self.begin_tls();
        }
        if self.tls.is_none() {
            let (plain, rest) = bytes.split_at(self.plain_part(bytes));
            let greeting = std::mem::take(&mut self.greeting);
            let out = [greeting, self.hear(plain)].concat();
            if self.wants_tls(&out) {
                self.begin_tls();
            }
            return [out, self.receive_tls(rest)].concat();
        }
        self.receive_tls(bytes)
    }

    /// What goes out when the speaker says this of itself.
    pub fn say(&mut self, bytes: &[u8]) -> Vec<u8> {
        match &mut self.tls {
            None => bytes.to_vec(),
            Some(tls) => {
                tls.set_buffer_limit(None);
                tls.writer().write_all(bytes).expect("room");
                self.written()
            }
        }
    }

    /// What goes out when the speaker says goodbye.
    pub fn say_goodbye(&mut self) -> Vec<u8> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
        self.written()
    }

    /// TLS was begun.
    pub fn is_secure(&self) -> bool {
        self.has_been_secure
    }

    fn begin_tls(&mut self) {
        let tls = ServerConnection::new(self.certificate.config.clone());
        self.tls = Some(tls.expect("a configuration"));
        self.has_been_secure = true;
    }

    /// Its TLS went on with what an earlier connection had agreed.
    pub fn is_resumed(&self) -> bool {
        let kind = self.tls.as_ref().and_then(|tls| tls.handshake_kind());
        kind == Some(HandshakeKind::Resumed)
    }

    /// What was said within to PostgreSQL.
    pub fn postgres(&self) -> &postgres::Heard {
        match &self.speaker {
            Speaker::Postgres(server) => &server.heard,
            _ => panic!("not this one"),
        }
    }

    /// The speaker has closed its side.
    pub fn is_over(&self) -> bool {
        self.is_broken
            || match &self.speaker {
                Speaker::Postgres(server) => server.is_over(),
                Speaker::Mysql(server) => server.is_over(),
                Speaker::Mongo(server) => server.is_over(),
                Speaker::Mssql(server) => server.is_over(),
            }
    }

    /// SQL Server's TLS leaves its packets, and ends, within a read.
    fn receive_records(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in bytes {
            let Some(byte) = (match &mut self.envelope {
                Some(envelope) => envelope.open(*byte),
                None => Some(*byte),
            }) else {
                continue;
            };
            if self.tls.is_none() {
                out.extend(self.hear(&[byte]));
                continue;
            }
            self.record.push(byte);
            if let [_, _, _, high, low, ..] = self.record[..]
                && self.record.len() == 5 + usize::from(u16::from_be_bytes([high, low]))
            {
                let record = std::mem::take(&mut self.record);
                let words = self.receive_record(&record);
                match self.envelope {
                    Some(_) if !words.is_empty() => out.extend(mssql::framed(0x12, &words, 4088)),
                    _ => out.extend(words),
                }
                if self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking()) {
                    self.envelope = None;
                }
            }
        }
        out
    }

    /// Takes some of `bytes`: what was said within; `None` when TLS can't go on.
    fn decode(&mut self, bytes: &mut &[u8]) -> Option<Vec<u8>> {
        let tls = self.tls.as_mut()?;
        tls.read_tls(bytes).expect("memory");
        match tls.process_new_packets() {
            Ok(state) => self.has_heard_goodbye |= state.peer_has_closed(),
            Err(_) => {
                self.is_broken = true;
                return None;
            }
        }
        let mut plain = Vec::new();
        // An end within is told by `has_heard_goodbye`.
        let _ = tls.reader().read_to_end(&mut plain);
        Some(plain)
    }

    fn receive_record(&mut self, mut record: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        while !record.is_empty() {
            match self.decode(&mut record) {
                Some(words) => plain.extend(words),
                None => return self.written(),
            }
        }
        let answer = self.hear(&plain);
        if let Speaker::Mssql(server) = &self.speaker
            && server.ends_tls()
        {
            let words = self.written();
            self.tls = None;
            return [words, answer].concat();
        }
        if let Some(tls) = &mut self.tls {
            tls.set_buffer_limit(None);
            tls.writer().write_all(&answer).expect("room");
        }
        self.written()
    }

    fn receive_tls(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        if self.tls.is_none() || self.is_broken {
            return Vec::new();
        }
        if let Speaker::Mssql(_) = &self.speaker {
            return self.receive_records(bytes);
        }
        while !bytes.is_empty() {
            let Some(plain) = self.decode(&mut bytes) else {
                break;
            };
            let out = self.hear(&plain);
            if let Some(tls) = &mut self.tls {
                tls.writer().write_all(&out).expect("room");
            }
        }
        self.written()
    }

    fn written(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() {
                tls.write_tls(&mut out).expect("memory");
            }
        }
        out
    }

    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        match &mut self.speaker {
            Speaker::Postgres(server) => server.receive(bytes),
            Speaker::Mysql(server) => server.receive(bytes),
            Speaker::Mongo(server) => {
                let shown = self.tls.as_ref().and_then(|tls| tls.peer_certificates());
                server.heard.has_certificate = shown.is_some();
                server.receive(bytes)
            }
            Speaker::Mssql(server) => server.receive(bytes),
        }
    }

    /// MySQL's clients do not wait for an answer before they begin TLS, MongoDB's begin with it.
    fn plain_part(&self, bytes: &[u8]) -> usize {
        const SSL_REQUEST_BYTES: usize = 36;
        match &self.speaker {
            Speaker::Mysql(_) if bytes.starts_with(&[32, 0, 0, 1]) => {
                SSL_REQUEST_BYTES.min(bytes.len())
            }
            Speaker::Mongo(server) if server.begins_with_tls() => 0,
            _ => bytes.len(),
        }
    }

    fn wants_tls(&mut self, out: &[u8]) -> bool {
        match &mut self.speaker {
            Speaker::Postgres(server) => out == b"S" && server.heard.asked_for_tls,
            Speaker::Mysql(server) => {
                let wants = server.wants_tls();
                if wants {
                    server.tls_started();
                }
                wants
            }
            Speaker::Mongo(server) => server.wants_tls(),
            Speaker::Mssql(server) => {
                let wants = server.wants_tls();
                if wants {
                    server.is_secure = true;
                    self.envelope = Some(Envelope::default());
                }
                wants
            }
        }
    }
}

/// How TLS begins.
const TLS_HANDSHAKE: u8 = 0x16;

/// Takes packets off.
#[derive(Default)]
struct Envelope {
    header: Vec<u8>,
    left: usize,
}

impl Envelope {
    fn open(&mut self, byte: u8) -> Option<u8> {
        if self.left > 0 {
            self.left -= 1;
            return Some(byte);
        }
        self.header.push(byte);
        if let [kind, _, high, low, _, _, _, _] = self.header[..] {
            assert_eq!(kind, 0x12, "a packet of a handshake");
            self.left = usize::from(u16::from_be_bytes([high, low])) - 8;
            self.header.clear();
        }
        None
    }
}
