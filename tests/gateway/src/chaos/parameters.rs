//! Users whose parameters are as dear as 64 KiB can be.

use loopback_gateway::SessionRequest;

use super::Plan;
use super::report::Row;
use super::subject::{Subject, exec};

/// As many as the agent has places for.
const SESSIONS: usize = 4096;

/// Resident memory must stay below.
const RESIDENT_KIB_MAX: u64 = 100 << 10;

/// Everything that a session may have many of, in 64 KiB of gob.
fn dear() -> SessionRequest {
    let mut request = exec("true").args(&["xxxx"; 4093]);
    for variable in 0..1024 {
        request = request.env(&format!("V{variable}"), "");
    }
    request
}

/// As many opens as there are places, none of them ended.
pub fn parameters(plan: &Plan) -> Row {
    let subject = Subject::start(plan, &[]);
    let before = subject.agent.rss_kib();
    let opens = plan.count(SESSIONS, SESSIONS / 8);
    let dear = dear();
    let mut open = Vec::new();
    let mut words = String::new();
    for number in 0..opens {
        // Each is another user's, so that no share is what keeps them out.
        let user = format!("user {number}");
        let request = dear.clone().with(|params| params.user_id = user);
        let mut session = subject.gateway.open_session(request);
        let answer = session.next_packet();
        match &answer.kind[..] {
            "ClientSessionOpenOK" => open.push(session),
            _ => words = String::from_utf8_lossy(&answer.payload).into_owned(),
        }
    }
    let peak = subject.agent.rss_peak_kib();
    assert!(peak < RESIDENT_KIB_MAX, "{peak} KiB resident");
    assert!(words.contains("all in use"), "no reason given: {words:?}");
    let count = open.len();
    drop(open);
    subject.check_works();
    subject.agent.signal(libc::SIGTERM);
    subject.agent.wait_exit();
    Row::ended(
        "parameters",
        &format!("{opens} opens with 4,096 arguments and 1,024 variables each"),
        &format!(
            "{count} open, the others refused ({words:?}); {before} KiB resident before, {peak} at most; works when they are gone"
        ),
    )
}
