//! The kinds of packet that an agent receives or sends. A variant is spelt as on the wire.

/// Declares the enum, the list of its variants and their names from one table.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// What a packet is: its `type` string, where it is one that an agent knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])+ $name,)+ }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The name on the wire.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

impl Kind {
    /// The kind with this wire name; `None` for one that is no agent's business.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }
}

// The most frequent kinds come first, because `from_name` looks in this order.
kinds! {
    /// Gateway to agent: bytes for a raw TCP target.
    AgentTCPConnectionWrite,
    /// Gateway to agent: a message for a PostgreSQL target.
    AgentPGConnectionWrite,
    /// Gateway to agent: a message for a MySQL target.
    AgentMySQLConnectionWrite,
    /// Gateway to agent: a message for an SQL Server target.
    AgentMSSQLConnectionWrite,
    /// Gateway to agent: a message for a MongoDB target.
    AgentMongoDBConnectionWrite,
    /// Gateway to agent: the end of one connection, of any of the above.
    AgentCloseTCPConnection,
    /// Gateway to agent: bytes typed into a terminal.
    AgentTerminalWriteStdin,
    /// Gateway to agent: `rows,cols,x,y` of a terminal.
    AgentTerminalResizeTTY,
    /// Gateway to agent: defined, never sent.
    AgentTerminalClose,
    /// Gateway to agent: the whole standard input of a command.
    AgentExecWriteStdin,
    /// Gateway to agent: a session and its connection params.
    AgentSessionOpen,
    /// Gateway to agent: the session is over.
    AgentSessionClose,
    /// Gateway to agent: the stream is accepted.
    AgentGatewayConnectOK,
    /// Gateway to agent: the complete set of feature flags.
    GatewayFeatureFlagUpdate,
    /// Gateway to agent: bytes for an Oracle target.
    AgentOracleConnectionWrite,
    /// Gateway to agent: bytes for an SSH target.
    AgentSSHConnectionWrite,
    /// Gateway to agent: bytes for an AWS SSM target.
    AgentSSMConnectionWrite,
    /// Gateway to agent: bytes for an HTTP target.
    AgentHttpProxyConnectionWrite,
    /// Gateway to agent: bytes for an MCP target.
    AgentMCPProxyConnectionWrite,
    /// Gateway to agent: an answer for an MCP program.
    AgentMCPStdioReply,
    /// Gateway to agent: create database roles.
    SysProvisionDBRolesRequest,
    /// Gateway to agent: run a runbook hook.
    SysRunbookHookRequestType,
    /// Gateway to agent: run a script without a session.
    SysBareExecRequest,
    /// Gateway to agent: plan PostgreSQL changes.
    SysPgManagerPlanRequest,
    /// Gateway to agent: apply PostgreSQL changes.
    SysPgManagerApplyRequest,
    /// Agent to gateway: the link is alive.
    GatewayKeepAlive,
    /// Agent to gateway: log entries.
    ClientAgentLogs,
    /// Agent to gateway: the session is open.
    ClientSessionOpenOK,
    /// Agent to gateway: the session is over. Also arrives the wrong way round.
    ClientSessionClose,
    /// Agent to gateway: standard output of a command or terminal.
    ClientWriteStdout,
    /// Agent to gateway: standard error of a command.
    ClientWriteStderr,
    /// Agent to gateway: bytes of a raw TCP target.
    ClientTCPConnectionWrite,
    /// Agent to gateway: the end of one connection.
    ClientTCPConnectionClose,
    /// Agent to gateway: a message of a PostgreSQL target.
    ClientPGConnectionWrite,
    /// Agent to gateway: a message of a MySQL target.
    ClientMySQLConnectionWrite,
    /// Agent to gateway: a message of an SQL Server target.
    ClientMSSQLConnectionWrite,
    /// Agent to gateway: a message of a MongoDB target.
    ClientMongoDBConnectionWrite,
    /// Agent to gateway: bytes of an Oracle target.
    ClientOracleConnectionWrite,
    /// Agent to gateway: bytes of an SSH target.
    ClientSSHConnectionWrite,
    /// Agent to gateway: bytes of an AWS SSM target.
    ClientSSMConnectionWrite,
    /// Agent to gateway: bytes of an HTTP target.
    ClientHttpProxyConnectionWrite,
    /// Agent to gateway: bytes of an MCP target.
    ClientMCPProxyConnectionWrite,
    /// Agent to gateway: a request for an MCP program.
    ClientMCPStdioRequest,
    /// Agent to gateway: the end of an MCP program.
    ClientMCPStdioClose,
    /// Agent to gateway: counters of the analyzer.
    ClientSessionAnalyzerMetrics,
    /// Agent to gateway: answer to `SysProvisionDBRolesRequest`.
    SysProvisionDBRolesResponse,
    /// Agent to gateway: answer to `SysRunbookHookRequestType`.
    SysRunbookHookResponseType,
    /// Agent to gateway: answer to `SysBareExecRequest`.
    SysBareExecResponse,
    /// Agent to gateway: answer to `SysPgManagerPlanRequest`.
    SysPgManagerPlanResponse,
    /// Agent to gateway: answer to `SysPgManagerApplyRequest`.
    SysPgManagerApplyResponse,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_kind() {
        for kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), Some(*kind));
        }
    }

    #[test]
    fn a_name_that_no_agent_knows_is_no_kind() {
        for name in [
            "",
            "KeepAlive",
            "ClientSessionOpenTimeout",
            "agentsessionopen",
        ] {
            assert_eq!(Kind::from_name(name), None);
        }
    }
}
