//! What the server makes of us: it lets us in, or not, or sends us on.

use super::packets::{framed, kind, message};
use super::refusal::NOT_TDS;
use super::reply::{self, Reply, Route};
use super::state::{Attempt, Cover, Encryption, ExpectReply, Next, Outcome};
use crate::login::{Cause, Exchange, Refusal, Relay};

impl ExpectReply {
    pub(super) fn handle(self: Box<Self>, exchange: &mut Exchange<'_>) -> Outcome {
        let message = message(exchange.from_server.filled(), kind::REPLY);
        let Some(message) = message.map_err(|_| Refusal::protocol(NOT_TDS))? else {
            return Next::wait(self);
        };
        match reply::reply(&message.body) {
            Reply {
                route: Some(route),
                error: None,
                ..
            } => self.attempt.follow(route, self.cover),
            Reply {
                access: Some(version_at),
                ..
            } => {
                let mut body = message.body;
                let version = self.attempt.client.as_ref().map(|it| it.version());
                match (self.attempt.encryption, version) {
                    // The client has never heard of the version that stands for TLS first.
                    (Encryption::Strict, Some(version)) => {
                        if let Some(place) = body.get_mut(version_at..version_at + 4) {
                            place.copy_from_slice(&version.to_be_bytes());
                        }
                        exchange.to_client.packet(&framed(kind::REPLY, &body));
                    }
                    _ => {
                        let bytes = exchange.from_server.filled();
                        exchange.to_client.packet(&bytes[..message.len]);
                    }
                }
                exchange.from_server.consume(message.len);
                let is_blind =
                    self.cover != Cover::Nothing && self.attempt.account.trusts_anybody();
                let relay = Relay::mssql().trusting_blindly(is_blind);
                Next::passed(relay, exchange)
            }
            Reply {
                error: Some(number),
                ..
            } => {
                let bytes = exchange.from_server.filled();
                exchange.to_client.packet(&bytes[..message.len]);
                let advice = reply::advice(number);
                let text = format!("the server refused the login, error {number}: {advice}");
                Err(Refusal::new(Cause::Said, text))
            }
            _ => Err(Refusal::new(Cause::Unsupported, ANOTHER_LOGIN)),
        }
    }
}

impl Attempt {
    /// Once, and only where TLS vouches for who says so: the password goes along.
    fn follow(mut self, route: Route, cover: Cover) -> Outcome {
        let text = match route {
            _ if cover != Cover::All => {
                "the server sends its clients on to another one, which is done only where all is encrypted: leave \
                 ENCRYPT of the connection away, and have the server encrypt all"
            }
            _ if self.account.trusts_anybody() => {
                "the server sends its clients on to another one, which is done only where a certificate vouches for \
                 it: take INSECURE away and set SSLROOTCERT, or set HOST to the server that serves them"
            }
            _ if self.route.is_some() => {
                "the server sends its clients on a second time: set HOST to the server that serves them"
            }
            Route::Nowhere => "the server sends its clients on to a place that makes no sense",
            Route::To(name, server) => {
                self.server_name = name;
                self.route = Some(server);
                self.is_second = false;
                // What was said of the first server's way says nothing of this one's.
                self.account.is_plain_password_allowed = false;
                if self.encryption == Encryption::Login {
                    self.encryption = Encryption::Full;
                }
                return Next::go(self.dial());
            }
        };
        Err(Refusal::new(Cause::Unsupported, text))
    }
}

const ANOTHER_LOGIN: &str = "the server wants a login of another kind (Windows, Microsoft Entra): USER must be a SQL \
     login with a password";
