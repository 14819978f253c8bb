//! Where the requests of a session go, and what all such sessions share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Instant;

use crate::login::{Cause, Refusal};
use crate::secrets::Mint;
use crate::session::environment::Variables;
use crate::session::heap;
use crate::session::means::Means;
use crate::session::output::Where;
use crate::session::protocol::Dialect;
use crate::tls::OwnTickets;
use crate::web::{Cluster, ServiceAccount, Site, SiteError, Wanted, kubernetes};

/// The service of a session's connection, made when that opens.
pub(in crate::session) struct Service {
    pub(super) site: Site,
    /// The authority of the agent's pod, where it has one, alone may vouch for it.
    has_pods_authority: bool,
    /// What its token is made of, anew for requests of later times.
    mint: Option<Mint>,
    /// By which TLS is resumed: the session's.
    pub(super) tickets: Rc<RefCell<OwnTickets>>,
    /// Connections that wait for another request of the session.
    pub(super) kept: Rc<Cell<usize>>,
}

impl Service {
    /// By the connection's own variables, or what is wrong with them; `tickets` are the session's.
    pub(in crate::session) fn of(
        dialect: Dialect,
        (own, mint): (&Variables, Option<&Mint>),
        tickets: &Rc<RefCell<OwnTickets>>,
        (now, means): (Instant, &mut Means),
    ) -> Result<Self, Refusal> {
        let variables: Vec<_> = own.iter().collect();
        let wanted = Wanted {
            variables: &variables,
        };
        let cluster = match dialect {
            Dialect::Kubernetes => Cluster::of(&wanted),
            _ => Site::of_httpproxy(&wanted).map(|site| Cluster {
                site,
                has_pods_authority: false,
            }),
        };
        let Cluster {
            site,
            has_pods_authority,
        } = cluster.map_err(refusal)?;
        let service = Self {
            site,
            has_pods_authority,
            mint: mint.cloned(),
            tickets: tickets.clone(),
            kept: Rc::default(),
        };
        service.check(means)?;
        let account = service.account(now, means);
        if service.site.brings_pods_token() && account.is_none_or(|it| it.token().is_none()) {
            return Err(refusal(kubernetes::no_token()));
        }
        Ok(service)
    }

    /// Refuses what is not to be had while the gateway has its features on.
    pub(in crate::session) fn check(&self, means: &Means) -> Result<(), Refusal> {
        self.site.check(means.features).map_err(refusal)
    }

    /// Where it is.
    pub(in crate::session) fn place(&self) -> Where {
        let address = &self.site.url.address;
        Where::Name {
            host: address.host.clone(),
            port: address.port,
        }
    }

    /// Bytes on the heap.
    pub(in crate::session) fn heap_bytes(&self) -> usize {
        let counter = heap::block(3 * size_of::<usize>());
        heap::block(size_of::<Self>() + 2 * size_of::<usize>())
            + counter
            + self.site.heap_bytes(heap::block)
    }

    /// The account of the agent's pod, where anything of it is for this service; or Amazon's token of this time.
    pub(super) fn account(&self, now: Instant, means: &mut Means) -> Option<Rc<ServiceAccount>> {
        if let Some(mint) = &self.mint {
            let token = means.token(mint).map(|token| token.expose().to_vec());
            let token = token.inspect_err(|cause| log::warn!("no token for a cluster: {cause}"));
            return Some(Rc::new(ServiceAccount::new(token.ok(), None)));
        }
        let is_wanted = self.site.brings_pods_token() || self.has_pods_authority;
        is_wanted.then(|| means.service_account(now))
    }

    /// Who alone may vouch for it.
    pub(super) fn authority<'a>(&self, account: Option<&'a ServiceAccount>) -> Option<&'a [u8]> {
        account.filter(|_| self.has_pods_authority)?.authority()
    }
}

fn refusal(error: SiteError) -> Refusal {
    Refusal::new(Cause::Unsupported, error.0)
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
