//! What people bring along from hoop's own program: its flags and commands, answered by name.

/// A flag of it, without dashes.
pub(super) fn flag(name: &str) -> Option<&'static str> {
    Some(match name {
        "skip-tls-verify" => {
            "set HOOP_TLSCA to your own authority, or HOOP_TLS_SKIP_VERIFY=true to believe any \
             certificate"
        }
        "debug-grpc" => "--log-level=trace shows every packet by kind and size",
        "tls-ca" => "set HOOP_TLSCA=file://PATH",
        "grpc-url" => "the key names the gateway: set HOOP_KEY",
        _ => return None,
    })
}

/// The form of log lines that is its default.
pub(super) const FORMAT_AUTO: &str =
    "leave --format away: lines are human on a terminal and json elsewhere";

/// Words that begin a command of it.
pub(super) fn command(words: &[&str]) -> Option<&'static str> {
    Some(match words {
        ["connect" | "exec" | "proxy" | "runbooks", ..] => {
            "this is the agent alone; users connect with hoop's own program (hoop connect, hoop exec)"
        }
        ["start", "gateway", ..] => "this is the agent alone; hoop's own program has the gateway",
        ["login", ..] => "use hoop-lite admin login",
        ["config", ..] => {
            "hoop-lite admin login writes ~/.hoop/config.toml, and HOOP_APIURL, HOOP_GRPCURL and \
             HOOP_TOKEN go before it"
        }
        ["agent", ..] => {
            "the service is the system's: systemctl start hoop-lite, journalctl -u hoop-lite"
        }
        ["admin", "create" | "get" | "delete", resource, ..] if !resource.starts_with("agent") => {
            "agents alone are administered here; use hoop admin for everything else"
        }
        _ => return None,
    })
}
