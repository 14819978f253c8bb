//! Requests of the gateway itself (`Sys*`): none is served, each is refused at once, since the
//! caller would otherwise wait for up to ten minutes (gateway-protocol 4.4).

use crate::packet::Kind;
use crate::wire::json;

const REFUSAL: &str = "this agent does not serve system requests";

/// The kind and payload that refuse the request `kind` with id `id`; `None` for other kinds.
pub fn refuse(kind: Kind, id: &str) -> Option<(Kind, String)> {
    let mut quoted = String::new();
    json::write_string(&mut quoted, id);
    let yaml = || format!("sid: {quoted}\nstatus: failed\nmessage: {REFUSAL}\n");
    Some(match kind {
        Kind::SysRunbookHookRequestType => (
            Kind::SysRunbookHookResponseType,
            format!(
                "{{\"id\":{quoted},\"exit_code\":-2,\"output\":\"{REFUSAL}\",\"execution_time_sec\":0}}"
            ),
        ),
        Kind::SysBareExecRequest => (
            Kind::SysBareExecResponse,
            format!("{{\"sid\":{quoted},\"status\":\"failed\",\"output\":\"{REFUSAL}\"}}"),
        ),
        Kind::SysProvisionDBRolesRequest => (
            Kind::SysProvisionDBRolesResponse,
            format!(
                "{{\"sid\":{quoted},\"status\":\"failed\",\"message\":\"{REFUSAL}\",\"result\":null}}"
            ),
        ),
        Kind::SysPgManagerPlanRequest => (Kind::SysPgManagerPlanResponse, yaml()),
        Kind::SysPgManagerApplyRequest => (Kind::SysPgManagerApplyResponse, yaml()),
        _ => return None,
    })
}
