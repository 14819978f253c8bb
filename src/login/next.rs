//! Where a state of a login leads: the same for all dialects.

use super::{Exchange, Refusal, Relay, Step};

/// What a state came to. An error has not been said to the client yet, but [`super::Cause::Said`].
pub(super) type Outcome<L> = Result<Next<L>, Refusal>;

/// Where a state leads.
pub(super) enum Next<L> {
    /// On with this, there may be enough bytes.
    Go(L),
    /// The owner is to do something first.
    Leave(Step<L>),
}

impl<L> Next<L> {
    pub(super) fn go(state: impl Into<L>) -> Outcome<L> {
        Ok(Self::Go(state.into()))
    }

    pub(super) fn wait(state: impl Into<L>) -> Outcome<L> {
        Ok(Self::Leave(Step::Wait(state.into())))
    }

    /// The client is in. Some drivers send their first commands with the login: what came in the same breath must not
    /// wait for readiness that does not come again.
    pub(super) fn passed(relay: Relay, exchange: &mut Exchange<'_>) -> Outcome<L> {
        Ok(Self::Leave(Step::Passed(handed_over(relay, exchange))))
    }
}

fn handed_over(mut relay: Relay, exchange: &mut Exchange<'_>) -> Relay {
    relay.pass(exchange.from_server.filled(), exchange.to_client);
    exchange.from_server.clear();
    let early = exchange.from_client.filled();
    relay.client_sent(early);
    if !early.is_empty() {
        exchange.to_server.put(early);
    }
    exchange.from_client.clear();
    relay
}

/// Each of these states, alone or in its box, becomes the login that is in it. In boxes, since a login is moved at every
/// step and its states are of very different sizes.
macro_rules! states {
    ($login:ident: $($state:ident,)+) => {
        $(
            impl From<Box<$state>> for $login {
                fn from(state: Box<$state>) -> Self {
                    Self::$state(state)
                }
            }

            impl From<$state> for $login {
                fn from(state: $state) -> Self {
                    Self::$state(Box::new(state))
                }
            }
        )+
    };
}

pub(super) use states;
