//! What an agent may send in a session, and in which order (gateway-protocol 7.6, 8.1, 9).

use std::collections::HashSet;

use crate::packet::{Packet, spec};

/// Payloads of agents stay within this (gateway-protocol 1.3).
const PAYLOAD_BYTES_MAX: usize = 1 << 20;
const WEB_PAYLOAD_BYTES_MAX: usize = 16 << 20;

/// What a session's packets have been so far.
#[derive(Default)]
pub(crate) struct Conduct {
    connection_type: String,
    is_console: bool,
    opened: bool,
    closed: HashSet<String>,
}

impl Conduct {
    pub fn new(connection_type: &str, is_console: bool) -> Self {
        Self {
            connection_type: connection_type.to_owned(),
            is_console,
            ..Self::default()
        }
    }

    /// What is wrong with this packet of a live session, if anything is.
    pub fn check(&mut self, packet: &Packet) -> Option<String> {
        let wrong = |what: &str| Some(format!("{what}: {}", packet.summary()));
        let (bytes_max, words) = match packet.kind.as_str() {
            // Few and large, for the listener.
            "ClientHttpProxyConnectionWrite" => (WEB_PAYLOAD_BYTES_MAX, "payload over 16 MiB"),
            _ => (PAYLOAD_BYTES_MAX, "payload over 1 MiB"),
        };
        if packet.payload.len() > bytes_max {
            return wrong(words);
        }
        match packet.kind.as_str() {
            "ClientSessionOpenOK" => {
                self.opened = true;
                if packet.text(spec::CONNECTION_TYPE).as_deref() != Some(&self.connection_type) {
                    return wrong("open-OK without the type of the request");
                }
                if !packet.spec.contains_key(spec::REQUEST_PORT) {
                    return wrong("open-OK without the request port's key");
                }
                None
            }
            "ClientSessionClose" => {
                match packet.text(spec::EXIT_CODE).map(|code| code.parse::<u32>()) {
                    Some(Ok(_)) => None,
                    _ => wrong("close whose exit code is not a number from 0"),
                }
            }
            _ if !self.opened => wrong("first packet is neither open-OK nor close"),
            "ClientWriteStdout" => None,
            "ClientWriteStderr" if self.is_console => wrong("standard error in a console"),
            "ClientWriteStderr" | "ClientSessionAnalyzerMetrics" => None,
            "ClientTCPConnectionClose" => {
                let id = packet.connection_id();
                if id.is_empty() {
                    return wrong("no connection id");
                }
                if !self.closed.insert(id) {
                    return wrong("connection closed twice");
                }
                None
            }
            kind if kind.ends_with("ConnectionWrite") => {
                let id = packet.connection_id();
                if id.is_empty() {
                    return wrong("no connection id");
                }
                if self.closed.contains(&id) {
                    return wrong("data after the connection's close");
                }
                None
            }
            _ => wrong("no packet for an agent to send"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(code: &str) -> Packet {
        Packet::new("ClientSessionClose").with(spec::EXIT_CODE, code.to_owned())
    }

    fn open() -> Packet {
        Packet::new("ClientSessionOpenOK")
            .with(spec::CONNECTION_TYPE, "tcp")
            .with(spec::REQUEST_PORT, "")
    }

    fn data(id: &str) -> Packet {
        Packet::new("ClientTCPConnectionWrite").with(spec::CONNECTION_ID, id.to_owned())
    }

    fn end(id: &str) -> Packet {
        Packet::new("ClientTCPConnectionClose").with(spec::CONNECTION_ID, id.to_owned())
    }

    #[test]
    fn a_session_as_it_should_be_is_not_complained_about() {
        let mut conduct = Conduct::new("tcp", false);
        for packet in [
            open(),
            data("1"),
            data("10"),
            end("1"),
            data("10"),
            end("10"),
            close("0"),
        ] {
            assert_eq!(conduct.check(&packet), None);
        }
        assert_eq!(Conduct::new("tcp", false).check(&close("254")), None);
    }

    #[test]
    fn each_rule_that_is_broken_is_told() {
        let big = Packet::new("ClientWriteStdout").carrying(vec![0; PAYLOAD_BYTES_MAX + 1]);
        let cases: [(&[Packet], &str); 9] = [
            (&[data("1")], "neither open-OK nor close"),
            (&[Packet::new("ClientSessionOpenOK")], "type of the request"),
            (&[open(), data("1"), end("1"), data("1")], "data after"),
            (&[open(), end("1"), end("1")], "closed twice"),
            (
                &[open(), Packet::new("ClientTCPConnectionWrite")],
                "no connection id",
            ),
            (&[close("-1")], "exit code"),
            (&[Packet::new("ClientSessionClose")], "exit code"),
            (&[open(), big], "1 MiB"),
            (
                &[open(), Packet::new("AgentSessionOpen")],
                "no packet for an agent",
            ),
        ];
        for (packets, wanted) in cases {
            let mut conduct = Conduct::new("tcp", false);
            let said: Vec<_> = packets
                .iter()
                .filter_map(|packet| conduct.check(packet))
                .collect();
            assert!(
                said.len() == 1 && said[0].contains(wanted),
                "{wanted}: {said:?}"
            );
        }
    }
}
