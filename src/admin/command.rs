//! What is asked of the gateway, as plain values.

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputForm {
    /// For people and shells.
    #[default]
    Text,
    /// The gateway's own JSON.
    Json,
}

/// How an agent will work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgentMode {
    /// One stream, held open.
    #[default]
    Standard,
    /// Asks every few seconds whether a stream is wanted.
    Embedded,
}

/// `create agent NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateAgent {
    /// As typed.
    pub name: String,
    /// How it will work.
    pub mode: AgentMode,
    /// How the key is written.
    pub output: OutputForm,
}

/// `login [EMAIL]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginCommand {
    /// Asked for on a terminal when absent.
    pub email: Option<String>,
    /// The gateway; otherwise `HOOP_APIURL`, or the file of the last login.
    pub api_url: Option<String>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminCommand {
    /// `create agent NAME`.
    CreateAgent(CreateAgent),
    /// `get agents`.
    GetAgents(OutputForm),
    /// `get agent NAME`; a name or an id.
    GetAgent(String, OutputForm),
    /// `delete agent NAME`; a name or an id.
    DeleteAgent {
        /// As typed.
        name: String,
        /// It need not exist.
        ignores_missing: bool,
    },
    /// `login`.
    Login(LoginCommand),
}
