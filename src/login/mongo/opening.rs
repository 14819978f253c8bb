//! From the client's first message to a server that will do.

use super::account::Mechanism;
use super::bson::Document;
use super::client;
use super::hello;
use super::messages::{self, Asked};
use super::refusal::{NO_PRIMARY, NOT_MONGO, say};
use super::search::Search;
use super::state::{
    Asking, Bond, Dialled, ExpectHello, Fresh, Idle, LookingUp, Next, Outcome, Reach, Securing,
    Wishes,
};
use crate::base::{Address, Service};
use crate::limits;
use crate::login::{Cause, Exchange, Refusal, Step};

impl Bond {
    /// The number of our next message.
    pub(super) fn next_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    /// Sends the server a command.
    pub(super) fn ask(&mut self, document: &[u8], exchange: &mut Exchange<'_>) {
        let id = self.next_id();
        exchange.to_server.put(&messages::command(id, document));
    }

    /// Answers the client.
    pub(super) fn reply(&mut self, asked: Asked, document: &[u8], exchange: &mut Exchange<'_>) {
        let id = self.next_id();
        exchange
            .to_client
            .packet(&messages::reply(id, asked, document));
    }

    /// The server's answer to the last command, when it is whole.
    pub(super) fn hear(&self, exchange: &mut Exchange<'_>) -> Result<Option<Vec<u8>>, Refusal> {
        let most = limits::LOGIN_SERVER_MESSAGE_BYTES_MAX;
        let malformed = |_| Refusal::protocol(NOT_MONGO);
        let bytes = exchange.from_server.filled();
        let Some(message) = messages::whole(bytes, most).map_err(malformed)? else {
            return Ok(None);
        };
        let answer = messages::answer(message, self.last_id).map_err(malformed)?;
        let (answer, len) = (answer.bytes().to_vec(), message.len());
        exchange.from_server.consume(len);
        Ok(Some(answer))
    }

    /// Whose mechanisms the server is asked for.
    fn user(&self) -> Option<Vec<u8>> {
        let known = self.account.credentials.as_ref()?;
        // A certificate's is known without a question.
        let is_asked = known.mechanism != Some(Mechanism::X509);
        is_asked.then(|| [self.account.source(), b".", &known.user].concat())
    }
}

impl Fresh {
    pub(super) fn handle(mut self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(message) = client::peek(exchange)? else {
            return Next::wait(self);
        };
        let (asked, len) = (client::read(message)?.asked, message.len());
        let Some(asked) = asked else {
            // It wants to hear nothing.
            exchange.from_client.consume(len);
            return Next::go(self);
        };
        if let Some(refusal) = self.refusal.take() {
            say(&refusal, Some(asked), exchange.to_client);
            return Ok(Next::Leave(Step::Refused(refusal)));
        }
        let bond = self.bond;
        let found = bond.found.borrow().clone();
        let search = Search::new(found, &bond.account.hosts);
        let service = bond.account.service.clone();
        let reach = Reach {
            bond,
            asked,
            search,
        };
        match service {
            Some(name) => {
                let looking = LookingUp { reach }.into();
                Ok(Next::Leave(Step::LookUp(looking, name)))
            }
            None => reach.dial(exchange),
        }
    }
}

impl LookingUp {
    /// The name server has answered.
    pub(super) fn told(mut self, service: &Service, exchange: &mut Exchange<'_>) -> Outcome {
        let account = &mut self.reach.bond.account;
        let learnt = account.learn(service);
        learnt.map_err(|error| Refusal::new(Cause::Protocol, error.to_string()))?;
        let found = self.reach.bond.found.borrow().clone();
        self.reach.search = Search::new(found, &self.reach.bond.account.hosts);
        self.reach.dial(exchange)
    }
}

impl Reach {
    /// The next host, if there is one.
    pub(super) fn dial(mut self, exchange: &mut Exchange<'_>) -> Outcome {
        exchange.from_server.clear();
        self.bond.offered = None;
        match self.search.next() {
            Some(address) => {
                let dialled = Dialled { reach: self }.into();
                Ok(Next::Leave(Step::Dial(dialled, Some(address))))
            }
            None => {
                self.bond.found.take();
                Err(Refusal::new(Cause::Unreachable, NO_PRIMARY))
            }
        }
    }

    /// The server's end, or silence: what to do about the host.
    pub(super) fn lose(self, refusal: &Refusal, exchange: &mut Exchange<'_>) -> Outcome {
        match self.search.has_more() {
            true => self.dial(exchange),
            false => {
                self.bond.found.take();
                Err(refusal.clone())
            }
        }
    }

    fn greet(mut self, exchange: &mut Exchange<'_>) -> Outcome {
        let user = self.bond.user();
        let first = client::peek(exchange)?.map(client::read).transpose()?;
        let hello = first.filter(|it| hello::is_hello(client::name(it.document)));
        let is_clients = hello.is_some();
        let command = match hello {
            Some(it) => hello::for_server(it.document, true, user.as_deref()),
            None => hello::own(user.as_deref()),
        };
        self.bond.ask(&command, exchange);
        Next::go(ExpectHello {
            reach: self,
            is_clients,
        })
    }
}

impl Dialled {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        match self.reach.bond.account.wish() {
            Some(_) if !exchange.from_server.is_empty() => Err(Refusal::protocol(NO_TLS)),
            Some(wish) => {
                let securing = Securing { reach: self.reach }.into();
                Ok(Next::Leave(Step::StartTls(securing, wish)))
            }
            None => self.reach.greet(exchange),
        }
    }
}

impl Securing {
    pub(super) fn started(self, exchange: &mut Exchange<'_>) -> Outcome {
        self.reach.greet(exchange)
    }

    pub(super) fn failed(self, reason: &str, exchange: &mut Exchange<'_>) -> Outcome {
        let text = ["TLS with the mongodb server failed: ", reason].concat();
        let refusal = Refusal::new(Cause::Unreachable, text);
        self.reach.lose(&refusal, exchange)
    }
}

impl ExpectHello {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let Some(bytes) = self.reach.bond.hear(exchange)? else {
            return Next::wait(self);
        };
        let answer = Document::read(&bytes).ok_or_else(|| Refusal::protocol(NOT_MONGO))?;
        let is_clients = self.is_clients;
        let mut reach = self.reach;
        // An error is the client's to read, and other hosts would say the same.
        if answer.is_true(b"ok") {
            let account = &reach.bond.account;
            let wanted = account.replica_set.as_deref();
            let is_others = wanted.is_some_and(|name| answer.text(b"setName") != Some(name));
            if is_others && !account.is_direct {
                let refusal = Refusal::new(Cause::Unreachable, OTHER_SET);
                return reach.lose(&refusal, exchange);
            }
            if !account.is_direct && !hello::is_writable(answer) {
                let primary = answer.text(b"primary").and_then(named);
                if let Some(primary) = primary.and_then(|it| account.accept(it)) {
                    reach.search.prefer(primary);
                }
                return reach.dial(exchange);
            }
            reach.bond.offered = hello::offered(answer);
        }
        let bond = reach.bond;
        *bond.found.borrow_mut() = reach.search.current().cloned();
        if !is_clients {
            return Next::go(Idle::new(bond));
        }
        // The client's message has waited, and this is the answer to it.
        let message = client::take(exchange)?.unwrap_or_default();
        let hello = client::read(&message)?.document;
        let wishes = Wishes::of(hello, &bond, exchange);
        let asked = reach.asked;
        Box::new(Asking {
            bond,
            asked,
            wishes,
        })
        .answer(answer, exchange)
    }
}

/// `HOST:PORT` as servers write it, an IPv6 address without brackets, too.
fn named(text: &[u8]) -> Option<Address> {
    let (host, port) = std::str::from_utf8(text).ok()?.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let is_odd = |c: char| c.is_whitespace() || c.is_control();
    let host = Some(host).filter(|host| !host.is_empty() && !host.contains(is_odd))?;
    let host = host.to_owned();
    Some(Address { host, port })
}

const NO_TLS: &str = "the server speaks before TLS is begun: it is no MongoDB server, or somebody is in between; check \
     host and port of the connection";
const OTHER_SET: &str = "none of the connection's hosts is a member of the replica set that replicaSet of \
     CONNECTION_STRING names: correct it, or leave it out";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_named_primary_can_be_dialled_or_is_none(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..40),
                "[a-z\\[\\]:. ]{0,9}:[0-9]{0,6}".prop_map(String::into_bytes),
            ],
        ) {
            if let Some(Address { host, port }) = named(&bytes) {
                prop_assert!(!host.is_empty() && port != 0 && !host.contains(char::is_whitespace));
                let text = String::from_utf8(bytes).expect("it was read");
                prop_assert!(text.contains(&host) && text.ends_with(&port.to_string()));
            }
        }

        #[test]
        fn a_hosts_name_and_port_come_back(host in "[a-z0-9.-]{1,20}", port in 1..=u16::MAX) {
            let address = Address { host, port };
            let text = format!("{}:{port}", address.host);
            prop_assert_eq!(named(text.as_bytes()), Some(address));
        }
    }
}
