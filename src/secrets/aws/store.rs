//! The conversation with AWS: credentials first, then one request a secret, then what tokens need.

use super::answers;
use super::credentials::{Getting, Next};
use super::endpoints::{NO_REGION, Service};
use super::identity::{Credentials, Needs};
use super::questions::{heard_of, signed};
use super::region::is_region;
use crate::base::Secret;
use crate::base::civil::from_http_date;
use crate::http::Response;
use crate::secrets::asking::{Ask, Found, Step, Trouble, World, text};
use crate::secrets::plan::Want;
use crate::secrets::value::{Takes, bounded, of_key};
use crate::secrets::words::{self, Cause};
use crate::wire::{base64, json, json_text};

/// The service, as sentences name it.
const WHO: &str = "AWS";

/// Clocks that differ by more are said to be wrong; Amazon's services take five minutes.
const SKEW_MIN: u64 = 4 * 60;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Credentials,
    Want,
    Role,
    Identity,
}

/// See the module.
pub struct Aws {
    wants: Vec<Want>,
    position: usize,
    needs: Needs,
    getting: Option<Box<Getting>>,
    credentials: Option<Credentials>,
    asked: Asked,
    /// Amazon's time was taken from an answer already.
    has_set_clock: bool,
    is_over: bool,
}

impl Aws {
    pub(in crate::secrets) fn new(wants: Vec<Want>, needs: Needs) -> Self {
        Self {
            wants,
            position: 0,
            needs,
            getting: None,
            credentials: None,
            asked: Asked::Nothing,
            has_set_clock: false,
            is_over: false,
        }
    }

    pub(in crate::secrets) fn next(&mut self, found: &mut Found, world: &mut World<'_>) -> Step {
        loop {
            if self.is_over {
                return Step::Over;
            }
            match self.try_next(found, world) {
                Ok(Some(step)) => return step,
                Ok(None) => {}
                Err(cause) => self.fail(&cause, found),
            }
        }
    }

    /// What is to be asked, if anything; `None`: look again.
    fn try_next(
        &mut self,
        found: &mut Found,
        world: &mut World<'_>,
    ) -> Result<Option<Step>, Cause> {
        let Some(getting) = &mut self.getting else {
            let is_for_token = matches!(self.needs, Needs::Credentials | Needs::Role(None, _));
            let region = match &self.needs {
                Needs::Role(_, region) => Some(region.clone()),
                _ => None,
            };
            let getting = Getting::new((is_for_token, region), found, world)?;
            if self.needs == Needs::Identity {
                getting.state_source(found);
            }
            self.getting = Some(Box::new(getting));
            return Ok(None);
        };
        let Some(credentials) = &self.credentials else {
            let needs_region = !self.wants.is_empty()
                || matches!(self.needs, Needs::Identity | Needs::Role(Some(_), _));
            self.asked = Asked::Credentials;
            return Ok(match getting.next(needs_region, found, world)? {
                Next::Ask(ask) => Some(Step::Ask(ask)),
                Next::Got => {
                    self.credentials = getting.credentials().cloned();
                    self.asked = Asked::Nothing;
                    if self.needs == Needs::Identity {
                        getting.state_credentials(found, world);
                    }
                    None
                }
            });
        };
        if let Some(want) = self.wants.get(self.position) {
            self.asked = Asked::Want;
            let ask = ask_for(want, getting, credentials, world)?;
            return Ok(Some(Step::Ask(ask)));
        }
        match &self.needs {
            Needs::Role(Some(role), _) if !world.stores.has_fresh(&role.key(), world.clock) => {
                self.asked = Asked::Role;
                let ask = getting.assume(role, credentials, false, world)?;
                Ok(Some(Step::Ask(ask)))
            }
            Needs::Identity => {
                self.asked = Asked::Identity;
                Ok(Some(Step::Ask(getting.ask_identity(credentials, world)?)))
            }
            _ => {
                self.is_over = true;
                Ok(None)
            }
        }
    }

    pub(in crate::secrets) fn answered(
        &mut self,
        answer: Result<&Response, &Trouble>,
        found: &mut Found,
        world: &mut World<'_>,
    ) {
        let asked = std::mem::replace(&mut self.asked, Asked::Nothing);
        if let Ok(response) = answer
            && response.status >= 400
            && self.sets_clock(response, world)
        {
            found.note(&[
                "the clock here is not Amazon's: asking once more with theirs; set this clock",
            ]);
            return;
        }
        let outcome = match asked {
            Asked::Nothing => Ok(()),
            Asked::Credentials => match &mut self.getting {
                Some(getting) => getting.answered(answer, found, world),
                None => Ok(()),
            },
            Asked::Want => self.read(answer, found, world),
            Asked::Role => self.assumed(answer, found, world),
            Asked::Identity => self.identified(answer, found),
        };
        if let Err(cause) = outcome {
            self.fail(&cause, found);
        }
    }

    /// The answer says that our clock is wrong, and what the time is.
    fn sets_clock(&mut self, response: &Response, world: &mut World<'_>) -> bool {
        if self.has_set_clock {
            return false;
        }
        let code = answers::code(response);
        let is_about_time = [
            "InvalidSignatureException",
            "SignatureDoesNotMatch",
            "RequestTimeTooSkewed",
            "RequestExpired",
            "InvalidSignature",
        ]
        .contains(&&code[..]);
        let time = response
            .header("date")
            .and_then(from_http_date)
            .filter(|_| is_about_time);
        let Some(time) = time.filter(|time| time.abs_diff(world.aws_clock()) > SKEW_MIN) else {
            return false;
        };
        self.has_set_clock = true;
        world.stores.skew = time.cast_signed().saturating_sub(world.clock.cast_signed());
        true
    }

    /// The answer for the want at hand.
    fn read(
        &mut self,
        answer: Result<&Response, &Trouble>,
        found: &mut Found,
        world: &mut World<'_>,
    ) -> Result<(), Cause> {
        let response = heard_of(WHO, answer, found)?;
        let Some(want) = self.wants.get(self.position) else {
            return Ok(());
        };
        self.position += 1;
        if response.status != 200 {
            let code = answers::code(response);
            if code.starts_with("ExpiredToken") || REFUSED_KEYS.contains(&&code[..]) {
                world.stores.drop_credentials("");
            }
            let cause = answers::refused(WHO, &want.id, response, found);
            found.refuse(want, &cause);
            return Ok(());
        }
        let body = text(response);
        let text = json_text::member_string(body, "SecretString").map(Secret::new);
        let binary = json_text::member_string(body, "SecretBinary").map(Secret::new);
        for (number, key) in &want.keys {
            let value = match (&text, &binary) {
                (Some(text), _) if key.is_empty() => bounded(text.expose()),
                (Some(text), _) => of_key(text.expose_text().unwrap_or(""), key, Takes::Any),
                (None, Some(binary)) if key.is_empty() => match base64::decode(binary.expose()) {
                    Ok(bytes) => bounded(Secret::new(bytes).expose()),
                    Err(_) => Err(words::MALFORMED),
                },
                (None, Some(_)) => Err(words::BINARY),
                (None, None) => Err(words::MALFORMED),
            };
            found.values.push((*number, value));
        }
        Ok(())
    }

    fn assumed(
        &mut self,
        answer: Result<&Response, &Trouble>,
        found: &mut Found,
        world: &mut World<'_>,
    ) -> Result<(), Cause> {
        let response = heard_of("STS", answer, found)?;
        let Needs::Role(Some(role), _) = &self.needs else {
            return Ok(());
        };
        if response.status != 200 {
            return Err(answers::refused("STS", &role.arn, response, found));
        }
        let credentials = answers::xml_credentials(text(response))?;
        world.stores.keep(&role.key(), credentials, world.clock);
        self.is_over = true;
        Ok(())
    }

    fn identified(
        &mut self,
        answer: Result<&Response, &Trouble>,
        found: &mut Found,
    ) -> Result<(), Cause> {
        self.is_over = true;
        let response = heard_of("STS", answer, found)?;
        if response.status != 200 {
            return Err(answers::refused(
                "STS",
                "GetCallerIdentity",
                response,
                found,
            ));
        }
        let arn = answers::tag(text(response), "Arn").ok_or(words::MALFORMED)?;
        found.state(&["to Amazon it is ", arn]);
        Ok(())
    }

    fn fail(&mut self, cause: &Cause, found: &mut Found) {
        if self.needs != Needs::Nothing && found.needs.is_none() {
            found.needs = Some(cause.clone());
        }
        found.refuse_all(self.wants.get(self.position..).unwrap_or_default(), cause);
        self.position = self.wants.len();
        self.is_over = true;
    }

    pub(in crate::secrets) fn give_up(&mut self, cause: &Cause, found: &mut Found) {
        if !self.is_over {
            self.fail(cause, found);
        }
    }
}

/// The question for a secret.
fn ask_for(
    want: &Want,
    getting: &Getting,
    credentials: &Credentials,
    world: &mut World<'_>,
) -> Result<Ask, Cause> {
    let region = region_of(&want.id).or(getting.region());
    let region = region.ok_or(NO_REGION)?.to_owned();
    let url = getting.url(Service::SecretsManager, &region, false, world)?;
    let mut body = String::from("{\"SecretId\":");
    json::write_string(&mut body, &want.id);
    body.push('}');
    let headers = [
        ("Content-Type", "application/x-amz-json-1.1"),
        ("X-Amz-Target", "secretsmanager.GetSecretValue"),
    ];
    let body = Secret::new(body);
    let service = Service::SecretsManager;
    signed(&url, service, &region, &headers, &body, credentials, world)
}

/// Said of keys that are none any more.
const REFUSED_KEYS: [&str; 2] = ["UnrecognizedClientException", "InvalidClientTokenId"];

/// The region of an ARN.
fn region_of(id: &str) -> Option<&str> {
    let mut parts = id.strip_prefix("arn:")?.split(':');
    parts.nth(2).filter(|region| is_region(region))
}
