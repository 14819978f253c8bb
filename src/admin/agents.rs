//! `create`, `get` and `delete` of agents.

use super::answers::{AgentEntry, Created};
use super::command::{AgentMode, CreateAgent, OutputForm};
use super::error::{AdminError, What};
use super::rest::{Api, text_of};
use super::world::CommandResult;
use super::{name, table};
use crate::base::Secret;
use crate::config::Dsn;
use crate::http::encode_segment;
use crate::wire::json::write_string;
use crate::wire::json_text;

impl AgentEntry {
    fn is_called(&self, name_or_id: &str) -> bool {
        [&self.name, &self.id]
            .into_iter()
            .any(|own| own.as_deref() == Some(name_or_id))
    }

    fn row(&self) -> [&str; 7] {
        [
            self.id.as_deref().unwrap_or_default(),
            self.name.as_deref().unwrap_or_default(),
            self.mode.as_deref().unwrap_or_default(),
            or_dash(self.version.as_deref()),
            or_dash(self.hostname.as_deref()),
            or_dash(self.platform.as_deref()),
            match self.status.as_deref() {
                Some("CONNECTED") => "ONLINE",
                Some("DISCONNECTED") => "OFFLINE",
                _ => "-",
            },
        ]
    }
}

fn or_dash(text: Option<&str>) -> &str {
    text.filter(|text| !text.is_empty()).unwrap_or("-")
}

const HEADER: [&str; 7] = [
    "UID", "NAME", "MODE", "VERSION", "HOSTNAME", "PLATFORM", "STATUS",
];

fn render(agents: &[AgentEntry]) -> String {
    let mut rows = vec![HEADER];
    rows.extend(agents.iter().map(AgentEntry::row));
    table::render(&rows)
}

/// Creates an agent under the [`checked_name`] `name` and reports its key.
pub fn create(
    command: &CreateAgent,
    name: &str,
    api: &Api<'_>,
) -> Result<CommandResult, AdminError> {
    let mode = match command.mode {
        AgentMode::Standard => "standard",
        AgentMode::Embedded => "embedded",
    };
    let mut body = String::from("{\"name\":");
    write_string(&mut body, name);
    body.push_str(",\"mode\":");
    write_string(&mut body, mode);
    body.push('}');
    let what = What::Create(name.to_owned());
    let answer = api.call_json(what, "POST", "/agents", Some(&Secret::new(body)))?;
    let created: Option<Created> = json_text::parse(&answer);
    let token = created.and_then(|created| created.token);
    // Whatever is printed may be evaluated by a shell: one line, and no part of it a command.
    let key = token.filter(|key| key.bytes().all(|byte| byte.is_ascii_graphic()));
    let Some(key) = key.filter(|key| !key.is_empty()) else {
        return Err(AdminError::NotJson(api.url()));
    };
    let mut report = CommandResult::default();
    if name != command.name {
        report.note(format!("the agent is called {name:?}"));
    }
    if let Err(error) = Dsn::parse(&key) {
        report.note(format!(
            "the gateway made a key that no agent can use as it is: {error}. Correct the \
             gateway's gRPC URL (GRPC_URL, with a port) and create the agent again"
        ));
    }
    report.stdout = match command.output {
        OutputForm::Text => key,
        OutputForm::Json => answer,
    };
    report.stdout.push('\n');
    Ok(report)
}

/// The name as it is sent, if the server will take it.
pub fn checked_name(typed: &str) -> Result<String, AdminError> {
    let name = name::normalise(typed);
    if !name::is_allowed(&name) {
        return Err(AdminError::NameRule(typed.to_owned()));
    }
    Ok(name)
}

/// Lists all agents.
pub fn list(output: OutputForm, api: &Api<'_>) -> Result<CommandResult, AdminError> {
    let answer = api.call_json(What::Read, "GET", "/agents", None)?;
    let agents = parse_list(&answer).ok_or_else(|| AdminError::NotJson(api.url()))?;
    Ok(CommandResult::of(match output {
        OutputForm::Json => answer,
        OutputForm::Text => {
            let agents: Vec<AgentEntry> = agents.into_iter().map(|(agent, _)| agent).collect();
            render(&agents)
        }
    }))
}

fn parse_list(answer: &str) -> Option<Vec<(AgentEntry, &str)>> {
    json_text::elements(answer)?
        .into_iter()
        .map(|element| json_text::parse(element).map(|agent| (agent, element)))
        .collect()
}

/// Shows one agent.
pub fn show(name: &str, output: OutputForm, api: &Api<'_>) -> Result<CommandResult, AdminError> {
    let Some((agent, answer)) = find(name, api)? else {
        return Err(AdminError::NoSuchAgent(name.to_owned()));
    };
    Ok(CommandResult::of(match output {
        OutputForm::Json => answer,
        OutputForm::Text => render(&[agent]),
    }))
}

/// Deletes an agent that exists.
pub fn delete(name: &str, api: &Api<'_>) -> Result<CommandResult, AdminError> {
    let unknown = || AdminError::NoSuchAgent(name.to_owned());
    let (agent, _) = find(name, api)?.ok_or_else(unknown)?;
    let id = agent
        .id
        .as_deref()
        .filter(|id| !id.is_empty())
        .unwrap_or(name);
    let path = format!("/agents/{}", encode_segment(id));
    let response = api.call("DELETE", &path, None)?;
    match response.status {
        200 | 204 => {}
        404 => return Err(unknown()),
        _ => return Err(api.refusal(What::Delete(name.to_owned()), &response)),
    }
    let mut report = CommandResult::of(format!("agent {name:?} deleted\n"));
    if agent.status.as_deref() == Some("CONNECTED") {
        report.note(
            "the agent is online: hoop-lite ends its sessions within 15 s, upstream's \
             agent keeps them until it or the gateway is restarted"
                .to_owned(),
        );
    }
    Ok(report)
}

/// The agent of that name or id and its JSON; by the list where the gateway has no single view.
fn find(name_or_id: &str, api: &Api<'_>) -> Result<Option<(AgentEntry, String)>, AdminError> {
    let path = format!("/agents/{}", encode_segment(name_or_id));
    let single = api.call("GET", &path, None);
    match single {
        Ok(response) if response.status == 200 => {
            let answer = text_of(response);
            let agent = answer.as_deref().and_then(json_text::parse::<AgentEntry>);
            if let (Some(agent), Some(answer)) = (agent, answer)
                && agent.is_called(name_or_id)
            {
                return Ok(Some((agent, answer)));
            }
        }
        // Old gateways have no such route: they answer 404, a web page or a way to one.
        Ok(response) if matches!(response.status, 404 | 405) => {}
        Ok(response) => return Err(api.refusal(What::Read, &response)),
        Err(AdminError::Redirect(_)) => {}
        Err(error) => return Err(error),
    }
    let answer = api.call_json(What::Read, "GET", "/agents", None)?;
    let agents = parse_list(&answer).ok_or_else(|| AdminError::NotJson(api.url()))?;
    let found = agents
        .into_iter()
        .find(|(agent, _)| agent.is_called(name_or_id));
    Ok(found.map(|(agent, element)| (agent, element.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table_of(answer: &str) -> Option<String> {
        let agents = parse_list(answer)?;
        let agents: Vec<AgentEntry> = agents.into_iter().map(|(agent, _)| agent).collect();
        Some(render(&agents))
    }

    #[test]
    fn no_agents_are_a_header() {
        assert_eq!(
            table_of("[]").as_deref(),
            Some("UID   NAME   MODE   VERSION   HOSTNAME   PLATFORM   STATUS   \n")
        );
    }

    #[test]
    fn agents_are_shown_like_upstream_shows_them() {
        let answer = r#"[
            {"id":"75122bce-f957-49eb-a812-2ab60977cd9f","token":"","name":"dev","mode":"standard",
             "status":"CONNECTED","metadata":{"hostname":"h"},"hostname":"web-1","version":"1.2",
             "platform":"linux/amd64","goversion":""},
            {"id":"8c4d8a4e-0001-4000-8000-2ab60977cd9f","name":"embedded-one","mode":"embedded",
             "status":"DISCONNECTED","metadata":null,"hostname":"","version":null},
            {"id":"x","name":"y","mode":"","status":"","extra":[{"a":1}]}]"#;
        let expected = "\
UID                                    NAME           MODE       VERSION   HOSTNAME   PLATFORM      STATUS    \n\
75122bce-f957-49eb-a812-2ab60977cd9f   dev            standard   1.2       web-1      linux/amd64   ONLINE    \n\
8c4d8a4e-0001-4000-8000-2ab60977cd9f   embedded-one   embedded   -         -          -             OFFLINE   \n\
x                                      y                         -         -          -             -         \n";
        assert_eq!(table_of(answer).as_deref(), Some(expected));
    }

    #[test]
    fn an_answer_of_another_shape_is_none() {
        for answer in ["{}", "[1]", "[{\"id\":5}]", "null", "<html>"] {
            assert!(table_of(answer).is_none(), "{answer}");
        }
    }
}
