//! Where Amazon's services are: by region and partition, or where the operator says.

use super::profiles::Profiles;
use super::region::{is_region, suffix};
use crate::http::BaseUrl;
use crate::secrets::stores::Settings;
use crate::secrets::words::Cause;

/// A service that is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Service {
    /// Secrets.
    SecretsManager,
    /// Roles, and who one is.
    Sts,
}

impl Service {
    /// Its word in addresses and signatures.
    pub fn name(self) -> &'static str {
        match self {
            Self::SecretsManager => "secretsmanager",
            Self::Sts => "sts",
        }
    }
}

/// What says in which region the agent is, for `doctor`.
pub fn region_named_by(settings: &Settings, profiles: &Profiles) -> &'static str {
    let names = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let set = names.into_iter().find(|name| settings.get(name).is_some());
    set.unwrap_or_else(|| match profiles.get("region") {
        Some(_) => "the profile",
        None => "the instance",
    })
}

/// The region that the agent is set to.
pub fn region(settings: &Settings, profiles: Option<&Profiles>) -> Result<Option<String>, Cause> {
    let named = settings
        .first(&["AWS_REGION", "AWS_DEFAULT_REGION"])
        .map(str::to_owned);
    let region = named.or_else(|| profiles?.get("region"));
    match region {
        Some(region) if !is_region(&region) => Err(BAD_REGION),
        region => Ok(region),
    }
}

/// Where the service is. In the chain of credentials Go's SDK reads no address that is meant for all services.
pub fn url(
    service: Service,
    region: &str,
    is_in_chain: bool,
    settings: &Settings,
    profiles: &Profiles,
) -> Result<BaseUrl, Cause> {
    let variable = match service {
        Service::SecretsManager => "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        Service::Sts => "AWS_ENDPOINT_URL_STS",
    };
    let is_ignored = settings.is_true_in_any_case("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
    let of_all = || settings.get("AWS_ENDPOINT_URL").filter(|_| !is_in_chain);
    let set = settings.get(variable).or_else(of_all).map(str::to_owned);
    let set = set.or_else(|| profiles.endpoint(service.name()).filter(|_| !is_in_chain));
    if let Some(text) = set.filter(|_| !is_ignored) {
        return BaseUrl::parse(text.trim()).map_err(|_| Cause::setting(variable, "is no URL"));
    }
    let fips = match settings.is_true_in_any_case("AWS_USE_FIPS_ENDPOINT") {
        true => "-fips",
        false => "",
    };
    let text = [
        "https://",
        service.name(),
        fips,
        ".",
        region,
        ".",
        suffix(region),
    ]
    .concat();
    BaseUrl::parse(&text).map_err(|_| BAD_REGION)
}

/// A region is wanted.
pub const NO_REGION: Cause =
    Cause::fixed("the agent does not know its AWS region: set AWS_REGION where it runs");
const BAD_REGION: Cause = Cause::fixed("the agent's AWS region is none: set AWS_REGION");
