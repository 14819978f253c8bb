//! Where a session leads is the connection's to say: not its client's, and not the app's beside us.

use std::ffi::OsString;

use super::*;

/// Every name by which upstream's connections say where to go and how to log in there.
const NAMES: &str = "HOST PORT USER PASS SSLMODE SSLROOTCERT DB RESULT_METADATA INSECURE SID SCHEME OPTIONS \
    CONNECTION_STRING REMOTE_URL HEADER_X ALLOW_CLIENT_AUTHORIZATION GCP_SERVICE_ACCOUNT_JSON KUBERNETES_BEARER_TOKEN \
    KUBERNETES_CLUSTER_URL KUBERNETES_INSECURE_SKIP_VERIFY EKS_CLUSTER EKS_AWS_REGION AWS_REGION EKS_ROLE_ARN \
    EKS_ROLE_SESSION EKS_BINDING_USER_ROLE AUTHORIZED_SERVER_KEYS AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY \
    MCP_TRANSPORT";

/// A value that would show.
fn elsewhere(name: &str) -> &'static str {
    match name {
        "PORT" => "3000",
        "CONNECTION_STRING" | "REMOTE_URL" | "KUBERNETES_CLUSTER_URL" => "mongodb://elsewhere:1",
        "USER" => "_aws_iam_rds:somebody",
        _ => "elsewhere",
    }
}

/// Type and variables.
type Connection<'a> = (&'a str, &'a [(&'a str, &'a str)]);

/// Where a session of these settings leads, or how it is refused.
fn leads_to(connection: &Connection<'_>, app: &[&str], client: &[&str]) -> String {
    let mut world = World::new();
    let app = app.iter().map(|name| (*name, elsewhere(name)));
    let app = app.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    world.sessions = Sessions::new(SessionLimits::default(), AgentEnvironment::new(app, true));
    let client = client.iter().map(|name| {
        let value = base64::encode(elsewhere(name).as_bytes());
        (format!("envvar:{name}"), Secret::new(value))
    });
    let connection = params(connection.0, connection.1, &["program"]);
    let wish = Wish {
        params: connection,
        client: client.collect(),
        request_port: Vec::new(),
    };
    world
        .sessions
        .admit_wish(world.now, "s", wish, &mut world.outbox);
    match world.sessions.poll_output() {
        Some(Output::Dial { place, .. }) => format!("{place:?}"),
        Some(_) => panic!("another request"),
        None => world.one().payload,
    }
}

#[test]
fn neither_a_client_nor_the_app_says_where_a_session_leads() {
    let settings: [&[(&str, &str)]; 6] = [
        &[],
        &[("HOST", "db.internal")],
        &[("HOST", "db.internal"), ("PORT", "9000")],
        &[("HOST", "db.internal"), ("USER", "u"), ("PASS", "p")],
        &[("USER", "u"), ("PASS", "p")],
        &[("CONNECTION_STRING", "mongodb://mongo.internal:7/db")],
    ];
    let all: Vec<&str> = NAMES.split_ascii_whitespace().collect();
    for connection_type in [
        "tcp",
        "postgres",
        "mysql",
        "mssql",
        "mongodb",
        "command-line",
    ] {
        for own in settings {
            let connection = (connection_type, own);
            let alone = leads_to(&connection, &[], &[]);
            for name in &all {
                let one = std::slice::from_ref(name);
                let what = format!("{connection_type} {own:?} {name}");
                assert_eq!(leads_to(&connection, one, &[]), alone, "the app: {what}");
                assert_eq!(leads_to(&connection, &[], one), alone, "a client: {what}");
            }
            assert_eq!(leads_to(&connection, &all, &all), alone);
        }
    }
}
