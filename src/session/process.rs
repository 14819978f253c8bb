//! Commands: one per session, with pipes or on a terminal (gateway-protocol 7.1 to 7.3).

use super::about::About;
use super::command;
use super::error::SessionError;
use super::names::{SessionKey, TargetId};
use super::output::{Output, Program};
use super::report::Exit;
use super::target::Owner;
use super::tokens;
use super::turn::Turn;
use crate::base::TerminalSize;
use crate::secrets::Mint;

/// Clients send a lone line feed to have the terminal started; it was not typed by anybody.
const TERMINAL_STARTER: &[u8] = b"\n";

/// The command of a session.
pub(super) struct Process {
    target: Option<TargetId>,
    size: TerminalSize,
}

impl Default for Process {
    fn default() -> Self {
        Self {
            target: None,
            size: TerminalSize::DEFAULT,
        }
    }
}

impl Process {
    /// `AgentExecWriteStdin`: the whole standard input of the command, which starts now.
    pub(super) fn execute(
        &mut self,
        key: SessionKey,
        about: &mut About,
        stdin: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<(), SessionError> {
        if self.target.is_some() {
            // It would run a second time.
            return Ok(());
        }
        let id = self.start(key, about, false, turn)?;
        turn.targets.enqueue(turn.now, id, stdin);
        turn.targets.end_input(id);
        Ok(())
    }

    /// `AgentTerminalWriteStdin`: bytes typed; the first one starts the command.
    pub(super) fn type_in(
        &mut self,
        key: SessionKey,
        about: &mut About,
        typed: &[u8],
        turn: &mut Turn<'_>,
    ) -> Result<(), SessionError> {
        let Some(id) = self.target else {
            let id = self.start(key, about, true, turn)?;
            if typed != TERMINAL_STARTER {
                turn.targets.enqueue(turn.now, id, typed);
            }
            return Ok(());
        };
        // Typing into a command without a terminal would be lost; it has its whole input.
        let owner = turn.targets.get(id).map(|target| target.owner());
        if let Some(Owner::Process {
            on_terminal: true, ..
        }) = owner
        {
            turn.targets.enqueue(turn.now, id, typed);
        }
        Ok(())
    }

    /// `AgentTerminalResizeTTY`, before or after the start.
    pub(super) fn resize(&mut self, payload: &[u8], turn: &mut Turn<'_>) {
        if let Some(size) = TerminalSize::parse(payload) {
            self.size = size;
            if let Some(target) = self.target {
                turn.targets.ask(Output::Resize { target, size });
            }
        }
    }

    /// Its session is over.
    pub(super) fn end(self, turn: &mut Turn<'_>) {
        if let Some(target) = self.target {
            turn.close_target(target, false);
        }
    }

    fn start(
        &mut self,
        session: SessionKey,
        about: &mut About,
        on_terminal: bool,
        turn: &mut Turn<'_>,
    ) -> Result<TargetId, SessionError> {
        let environment = &mut about.environment;
        if on_terminal {
            environment.add_terminal()?;
        }
        if let Some(mint) = environment.mint() {
            let token = turn.means.token(mint);
            let token = token.map_err(|cause| tokens::not_made(mint, &cause))?;
            tokens::give(environment, &token, about.protocol, &about.connection_type);
        }
        let (mut argv, paths) = command::argv(&about.command, &about.client_args, environment)?;
        if let Some(Mint::Database { .. }) = environment.mint()
            && about.connection_type == "mysql"
        {
            tokens::allow_clear_text(&mut argv, about.command.len());
        }
        let files: Vec<_> = environment
            .files()
            .map(|(name, content)| (name.to_owned(), content.clone()))
            .collect();
        let owner = Owner::Process {
            session,
            on_terminal,
        };
        let target = turn.new_target(about.user, owner, files.len(), None)?;
        let program = Box::new(Program {
            argv,
            paths,
            environment: environment.to_process(),
            files,
            terminal: on_terminal.then_some(self.size),
        });
        self.target = Some(target);
        turn.counters.commands += 1;
        turn.targets.ask(Output::Spawn { target, program });
        Ok(target)
    }
}

/// Upstream's sentence for how a command ended; empty for success.
pub(super) fn outcome(exit: Exit) -> String {
    match exit {
        Exit::Code(0) => String::new(),
        Exit::Code(code) => format!("failed executing command, reason=exit status {code}"),
        Exit::Signal(number) => match signal_name(number) {
            Some(name) => format!("failed executing command, reason=signal: {name}"),
            None => format!("failed executing command, reason=signal: {number}"),
        },
    }
}

/// The words that upstream's runtime has for the signals that end programs.
fn signal_name(number: u8) -> Option<&'static str> {
    Some(match number {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        8 => "floating point exception",
        9 => "killed",
        11 => "segmentation fault",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_read_as_upstreams() {
        assert_eq!(outcome(Exit::Code(0)), "");
        assert_eq!(
            outcome(Exit::Code(3)),
            "failed executing command, reason=exit status 3"
        );
        assert_eq!(
            outcome(Exit::Signal(9)),
            "failed executing command, reason=signal: killed"
        );
        assert_eq!(
            outcome(Exit::Signal(40)),
            "failed executing command, reason=signal: 40"
        );
        assert_eq!((Exit::Signal(9).code(), Exit::Code(255).code()), (137, 255));
    }
}
