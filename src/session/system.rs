//! Requests of the gateway itself (`Sys*`): none is served, each is refused at once, since the
//! caller would otherwise wait for up to ten minutes (gateway-protocol 4.4).

use crate::base::plain::Word;
use crate::packet::{Kind, Outbox, spec};
use crate::wire::json;

const REFUSAL: &str = "this agent does not serve system requests";

/// Answers a request of the gateway itself; `false` for a packet that is none.
pub(super) fn answer(kind: Kind, id: &str, outbox: &mut Outbox) -> bool {
    let Some((kind, payload)) = refuse(kind, id) else {
        return false;
    };
    log::info!("sid={} system request refused: {}", Word(id), kind.name());
    let entries = [(spec::SESSION_ID, id.as_bytes())];
    outbox.push(kind, &entries, payload.as_bytes());
    true
}

/// The kind and payload that refuse the request `kind` with id `id`; `None` for other kinds. Asked
/// for every packet, so nothing is made before it is known to be needed.
fn refuse(kind: Kind, id: &str) -> Option<(Kind, String)> {
    let answer = match kind {
        Kind::SysRunbookHookRequestType => Kind::SysRunbookHookResponseType,
        Kind::SysBareExecRequest => Kind::SysBareExecResponse,
        Kind::SysProvisionDBRolesRequest => Kind::SysProvisionDBRolesResponse,
        Kind::SysPgManagerPlanRequest => Kind::SysPgManagerPlanResponse,
        Kind::SysPgManagerApplyRequest => Kind::SysPgManagerApplyResponse,
        _ => return None,
    };
    let mut quoted = String::new();
    json::write_string(&mut quoted, id);
    let text = match kind {
        Kind::SysRunbookHookRequestType => format!(
            "{{\"id\":{quoted},\"exit_code\":-2,\"output\":\"{REFUSAL}\",\"execution_time_sec\":0}}"
        ),
        Kind::SysBareExecRequest => {
            format!("{{\"sid\":{quoted},\"status\":\"failed\",\"output\":\"{REFUSAL}\"}}")
        }
        Kind::SysProvisionDBRolesRequest => format!(
            "{{\"sid\":{quoted},\"status\":\"failed\",\"message\":\"{REFUSAL}\",\"result\":null}}"
        ),
        _ => format!("sid: {quoted}\nstatus: failed\nmessage: {REFUSAL}\n"),
    };
    Some((answer, text))
}
