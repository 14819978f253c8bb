//! Which host is next.

use std::cell::RefCell;
use std::rc::Rc;

use crate::base::Address;
use crate::limits;

/// Where the last connection of a session has found its server: the next one begins there.
pub type Found = Rc<RefCell<Option<Address>>>;

/// Hosts that are left, and those that were tried.
pub struct Search {
    left: Vec<Address>,
    tried: Vec<Address>,
}

impl Search {
    /// Begins with `first`, and goes on with the rest.
    pub fn new(first: Option<Address>, rest: &[Address]) -> Self {
        let mut left: Vec<Address> = first.into_iter().collect();
        for address in rest {
            if !left.contains(address) {
                left.push(address.clone());
            }
        }
        Self {
            left,
            tried: Vec::new(),
        }
    }

    /// The next one.
    pub fn next(&mut self) -> Option<Address> {
        if !self.has_more() {
            return None;
        }
        let address = self.left.remove(0);
        self.tried.push(address.clone());
        Some(address)
    }

    /// There is a next one.
    pub fn has_more(&self) -> bool {
        !self.left.is_empty() && self.tried.len() < limits::MONGO_HOSTS_MAX
    }

    /// This one comes next, unless it was tried.
    pub fn prefer(&mut self, address: Address) {
        if !self.tried.contains(&address) {
            self.left.retain(|other| *other != address);
            self.left.insert(0, address);
        }
    }

    /// The one that was tried last.
    pub fn current(&self) -> Option<&Address> {
        self.tried.last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: &str) -> Address {
        let host = host.to_owned();
        Address { host, port: 1 }
    }

    #[test]
    fn every_host_is_tried_once_and_the_preferred_next() {
        let hosts = ["a", "b", "c", "b"].map(address);
        let mut search = Search::new(Some(address("b")), &hosts);
        assert_eq!(search.next(), Some(address("b")));
        search.prefer(address("c"));
        search.prefer(address("b"));
        search.prefer(address("d"));
        let rest: Vec<String> = std::iter::from_fn(|| search.next().map(|it| it.host)).collect();
        assert_eq!(rest, ["d", "c", "a"]);
        assert!(!search.has_more() && search.current() == Some(&address("a")));
    }

    #[test]
    fn a_server_that_names_ever_new_primaries_is_left() {
        let mut search = Search::new(None, &[address("a")]);
        for number in 0..100 {
            search.prefer(address(&number.to_string()));
            search.next();
        }
        assert_eq!(search.tried.len(), limits::MONGO_HOSTS_MAX);
    }
}
