//! What an agent must refuse, and how.

use loopback_gateway::params::ConnectionParams;
use loopback_gateway::targets::{Manner, Target};
use loopback_gateway::{Packet, SessionRequest, tcp_write};

use crate::world::{Folder, World};

const DENY_RULE: &str = r#"{"input_rules":[{"rules":[{"type":"deny_words_list","words":["DROP"],"pattern_regex":"","message":""}]}],"output_rules":null}"#;

#[test]
fn what_cannot_be_enforced_is_refused_by_name_and_nothing_runs() {
    type Change = fn(&mut ConnectionParams);
    let demands: [(&str, Change); 4] = [
        ("guardrail", |params| {
            params.guard_rail_rules = DENY_RULE.as_bytes().to_vec()
        }),
        ("masking", |params| {
            params.dlp_provider = "mspresidio".to_owned();
            params.dlp_info_types = vec!["EMAIL_ADDRESS".to_owned()];
        }),
        ("masking", |params| {
            params.dlp_provider = "mspresidio".to_owned();
            params.data_masking_entity_types =
                br#"[{"supported_entity_types":[{"entity_types":["PERSON"]}]}]"#.to_vec();
        }),
        ("AI", |params| {
            params.ai_session_analyzer = Some(vec!["rule".to_owned(), "openai".to_owned()]);
        }),
    ];
    let world = World::start();
    let folder = Folder::new("refused");
    for (named, change) in demands {
        let request = SessionRequest::exec(&["touch", &folder.file("ran")]).with(change);
        let mut session = world.open(request);
        let close = session.wait_refusal();
        assert!(
            close.code.is_some_and(|code| code > 0),
            "{named}: {close:?}"
        );
        assert!(close.text.contains(named), "{named}: {close:?}");
        session.send_stdin(b"");
        world.gateway.settle("demo");
        assert!(
            !folder.path().join("ran").exists(),
            "{named}: the command ran"
        );
    }
}

#[test]
fn rules_that_say_nothing_demand_nothing() {
    let world = World::start();
    for rules in ["", "  ", r#"{"input_rules":null,"output_rules":null}"#] {
        let request = SessionRequest::exec(&["true"]).guard_rails(rules);
        assert_eq!(world.open(request).run(b"").code, 0, "{rules:?}");
    }
}

#[test]
fn a_type_that_is_not_served_is_refused_by_name() {
    let world = World::start();
    for connection_type in ["rdp", "aws-ssm", "mcp"] {
        let request = SessionRequest::new(connection_type, "connect")
            .env("HOST", "127.0.0.1")
            .env("PORT", "1");
        let close = world.open(request).wait_refusal();
        assert!(close.code.is_some_and(|code| code > 0), "{close:?}");
        assert!(close.text.contains(connection_type), "{close:?}");
    }
}

#[test]
fn params_that_are_no_gob_are_refused() {
    let world = World::start();
    for bad in [
        &b""[..],
        b"\x00",
        b"\x16\xff\x85",
        b"rubbish that is no gob at all",
    ] {
        let mut request = SessionRequest::exec(&["true"]);
        request
            .extra
            .push(("agent.connection_params".to_owned(), bad.to_vec()));
        let close = world.open(request).wait_refusal();
        assert_eq!(close.code, Some(254), "{close:?}");
        assert!(
            close.text.contains("failed decoding connection params"),
            "{close:?}"
        );
    }
}

#[test]
fn a_tcp_session_runs_no_program() {
    let world = World::start();
    let target = Target::start(Manner::Echo);
    let folder = Folder::new("tcp-exec");
    for kind in ["AgentExecWriteStdin", "AgentTerminalWriteStdin"] {
        let request =
            SessionRequest::tcp("127.0.0.1", target.port()).args(&["touch", &folder.file("ran")]);
        let mut session = world.open(request);
        session.wait_open();
        session.send(Packet::new(kind).carrying("x"));
        world.gateway.settle("demo");
        assert!(!folder.path().join("ran").exists(), "{kind} ran a program");
        assert!(world.agent.children().is_empty());
    }
}

#[test]
fn a_command_session_reaches_no_address() {
    let world = World::start();
    let target = Target::start(Manner::Echo);
    let request = SessionRequest::exec(&["cat"])
        .env("HOST", "127.0.0.1")
        .env("PORT", &target.port().to_string());
    let mut session = world.open(request);
    session.wait_open();
    session.send(tcp_write("1", b"x"));
    let close = session.wait_close();
    assert!(close.code.is_some_and(|code| code > 0), "{close:?}");
    assert_eq!(target.accepted(), 0);
}

#[test]
fn system_requests_are_answered_with_a_refusal_at_once() {
    let world = World::start();
    let requests = [
        (
            "SysRunbookHookRequestType",
            "SysRunbookHookResponseType",
            "\"exit_code\":-2",
        ),
        (
            "SysBareExecRequest",
            "SysBareExecResponse",
            "\"status\":\"failed\"",
        ),
        (
            "SysProvisionDBRolesRequest",
            "SysProvisionDBRolesResponse",
            "\"status\":\"failed\"",
        ),
        (
            "SysPgManagerPlanRequest",
            "SysPgManagerPlanResponse",
            "status: failed",
        ),
        (
            "SysPgManagerApplyRequest",
            "SysPgManagerApplyResponse",
            "status: failed",
        ),
    ];
    for (request, response, wanted) in requests {
        let id = format!("id of {request}");
        let from = world.gateway.mark();
        let body =
            r#"{"id":"x","sid":"x","command":["touch","/tmp/never"],"script":"touch /tmp/never"}"#;
        let packet = Packet::new(request)
            .with("gateway.session_id", id.clone())
            .carrying(body);
        world.gateway.send("demo", packet);
        let answer = world
            .gateway
            .wait_packet(from, response, |packet| packet.sid() == id);
        assert_eq!(answer.kind, response);
        assert!(
            answer.payload_text().contains(wanted),
            "{}",
            answer.summary()
        );
    }
    assert!(world.agent.children().is_empty());
}

#[test]
fn sessions_are_told_apart_by_their_whole_name() {
    let world = World::start();
    let mut short = world.open(SessionRequest::console(&["cat"]).sid("a"));
    let mut long = world.open(SessionRequest::console(&["cat"]).sid("ab"));
    let mut odd = world.open(SessionRequest::console(&["cat"]).sid("../a b\n%s"));
    for session in [&mut short, &mut long, &mut odd] {
        session.start_console();
        session.write("x\n");
        session.expect("x\r\nx\r\n");
    }
    short.kill();
    world.gateway.settle("demo");
    for session in [&mut long, &mut odd] {
        session.write("y\n");
        session.expect("y\r\ny\r\n");
    }
}

#[test]
fn packets_of_a_session_that_was_never_opened_open_nothing() {
    let world = World::start();
    for kind in [
        "AgentExecWriteStdin",
        "AgentTerminalWriteStdin",
        "AgentTCPConnectionWrite",
    ] {
        let packet = Packet::new(kind)
            .with("gateway.session_id", kind)
            .with("client.connection_id", "1");
        world.gateway.send("demo", packet.carrying("id\n"));
    }
    world.gateway.settle("demo");
    assert!(world.agent.children().is_empty());
}

#[test]
fn a_close_from_the_client_is_not_answered() {
    let world = World::start();
    let mut session = world.open(SessionRequest::console(&["cat"]));
    session.start_console();
    session.write("x\n");
    session.expect("x\r\nx\r\n");
    let sid = session.sid().to_owned();
    session.kill();
    world.agent.wait_childless();
    let from = world.gateway.mark();
    world.gateway.settle("demo");
    for entry in world.gateway.entries(from.saturating_sub(5)) {
        if let loopback_gateway::event::Event::Received { packet, .. } = &entry.event {
            assert!(
                packet.kind != "ClientSessionClose" || packet.sid() != sid,
                "{entry}"
            );
        }
    }
}
