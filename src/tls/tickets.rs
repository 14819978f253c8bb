//! What servers gave for the resumption of a session: the next connection is cheap.
//!
//! Promises: a bound that holds whatever a server gives, and memory only once it has given something.
//! rustls's own store takes 3 KB for eight tickets before there is one, too much for each of a thousand
//! sessions.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

use crate::limits::TLS_TICKETS_MAX;

/// Those of the server that was met last.
#[derive(Default)]
pub(super) struct Tickets(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    server: Option<ServerName<'static>>,
    group: Option<NamedGroup>,
    tls12: Option<Box<Tls12ClientSessionValue>>,
    /// The oldest first.
    tls13: Vec<Tls13ClientSessionValue>,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl Tickets {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is of this server; another one makes room for it.
    fn of(&self, server: &ServerName<'static>) -> MutexGuard<'_, Kept> {
        let mut kept = self.kept();
        if kept.server.as_ref() != Some(server) {
            let server = Some(server.clone());
            *kept = Kept {
                server,
                ..Kept::default()
            };
        }
        kept
    }

    /// The same, if there is anything.
    fn known(&self, server: &ServerName<'_>) -> Option<MutexGuard<'_, Kept>> {
        let kept = self.kept();
        (kept.server.as_ref() == Some(server)).then_some(kept)
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.of(&server).group = Some(group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.known(server)?.group
    }

    fn set_tls12_session(&self, server: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.of(&server).tls12 = Some(Box::new(value));
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.known(server)?.tls12.as_deref().cloned()
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        if let Some(mut kept) = self.known(server) {
            kept.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, value: Tls13ClientSessionValue) {
        let mut kept = self.of(&server);
        if kept.tls13.len() >= TLS_TICKETS_MAX {
            kept.tls13.remove(0);
        }
        kept.tls13.reserve_exact(1);
        kept.tls13.push(value);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'_>) -> Option<Tls13ClientSessionValue> {
        self.known(server)?.tls13.pop()
    }
}
