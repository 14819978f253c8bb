//! Where the requests of a connection go, and what all such connections share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::login::{Cause, Refusal};
use crate::session::environment::Variables;
use crate::session::means::Means;
use crate::session::output::Where;
use crate::session::protocol::Dialect;
use crate::tls::OwnTickets;
use crate::web::{Cluster, ServiceAccount, Site, SiteError, Wanted};

/// The service of a connection, and who alone may vouch for it.
pub(in crate::session) struct Service {
    pub(super) site: Site,
    pub(super) authority: Option<Vec<u8>>,
    /// By which TLS is resumed: the session's.
    pub(super) tickets: Rc<RefCell<OwnTickets>>,
}

impl Service {
    /// By the connection's own variables, or what is wrong with them; `tickets` are the session's.
    pub(in crate::session) fn of(
        dialect: Dialect,
        own: &Variables,
        tickets: &Rc<RefCell<OwnTickets>>,
        means: &mut Means,
    ) -> Result<Self, Refusal> {
        let variables: Vec<_> = own.iter().collect();
        let wanted = wanted(&variables);
        let made = match dialect {
            Dialect::Kubernetes => {
                let (token, authority) = means.service_account();
                let account = ServiceAccount {
                    token: token.as_deref(),
                    authority: authority.as_deref(),
                };
                Cluster::of(&wanted, account).map(|cluster| Self {
                    site: cluster.site,
                    authority: cluster.authority,
                    tickets: tickets.clone(),
                })
            }
            _ => Site::of_httpproxy(&wanted).map(|site| Self {
                site,
                authority: None,
                tickets: tickets.clone(),
            }),
        };
        made.map_err(refusal)
    }
}

/// Where the service of a connection is, or what is wrong with its variables.
pub(in crate::session) fn place(dialect: Dialect, own: &Variables) -> Result<Where, Refusal> {
    let variables: Vec<_> = own.iter().collect();
    let site = match dialect {
        Dialect::Kubernetes => Cluster::site(&wanted(&variables)),
        _ => Site::of_httpproxy(&wanted(&variables)),
    };
    let address = site.map_err(refusal)?.url.address;
    Ok(Where::Name {
        host: address.host,
        port: address.port,
    })
}

fn refusal(error: SiteError) -> Refusal {
    Refusal::new(Cause::Unsupported, error.0)
}

/// The features that the gateway has on are not looked at: all of these are off.
fn wanted<'a>(variables: &'a [(&'a str, &'a [u8])]) -> Wanted<'a> {
    Wanted {
        variables,
        features: &[],
    }
}

/// What all exchanges take of something (bytes that are held back, connections that are kept), and one's own
/// share of it.
pub(in crate::session) struct Share {
    all: Rc<Cell<usize>>,
    own: usize,
}

impl Share {
    /// Nothing yet.
    pub(in crate::session) fn new(all: Rc<Cell<usize>>) -> Self {
        Self { all, own: 0 }
    }

    pub(super) fn set(&mut self, own: usize) {
        self.all.set(self.all.get() - self.own + own);
        self.own = own;
    }

    pub(super) fn is_below(&self, max: usize) -> bool {
        self.all.get() < max
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}
