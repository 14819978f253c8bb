//! Commands: one per session, with pipes or on a terminal (gateway-protocol 7.1 to 7.3).

use std::time::Instant;

use super::command;
use super::output::{Command, End, Output, Size};
use super::sessions::{EXIT_INTERNAL, Session, Sessions, State};
use super::shares::Table;
use super::target::{Exit, Kind as TargetKind, Phase, SessionKey, TargetId};
use crate::packet::{Kind, Outbox};

/// Clients send a lone line feed to have the terminal started; it was not typed by anybody.
const TERMINAL_STARTER: &[u8] = b"\n";

impl Sessions {
    /// `AgentExecWriteStdin`: the whole standard input of the command, which starts now.
    pub(super) fn exec(
        &mut self,
        now: Instant,
        key: SessionKey,
        stdin: &[u8],
        outbox: &mut Outbox,
    ) {
        match self.session(key).map(|session| &session.state) {
            Some(State::Command { target: None, .. }) => {}
            // A second one would run the command a second time.
            Some(State::Command { .. }) => return,
            _ => return self.refuse_kind(now, key, Kind::AgentExecWriteStdin, outbox),
        }
        let Some(id) = self.start(now, key, TargetKind::Exec, outbox) else {
            return;
        };
        self.enqueue(now, id, stdin, outbox);
        if let Some(target) = self.target_mut(id) {
            target.input_ended = true;
        }
    }

    /// `AgentTerminalWriteStdin`: bytes typed; the first one starts the command.
    pub(super) fn terminal(
        &mut self,
        now: Instant,
        key: SessionKey,
        typed: &[u8],
        outbox: &mut Outbox,
    ) {
        let started = match self.session(key).map(|session| &session.state) {
            Some(State::Command { target, .. }) => *target,
            _ => return self.refuse_kind(now, key, Kind::AgentTerminalWriteStdin, outbox),
        };
        match started {
            Some(id) => {
                // Typing into a command without a terminal would be lost; it has its whole input.
                if self
                    .target(id)
                    .is_some_and(|target| matches!(target.kind, TargetKind::Terminal))
                {
                    self.enqueue(now, id, typed, outbox);
                }
            }
            None => {
                let Some(id) = self.start(now, key, TargetKind::Terminal, outbox) else {
                    return;
                };
                if typed != TERMINAL_STARTER {
                    self.enqueue(now, id, typed, outbox);
                }
            }
        }
    }

    /// `AgentTerminalResizeTTY`, before or after the start.
    pub(super) fn resize(&mut self, key: SessionKey, payload: &[u8]) {
        let Some(new) = Size::parse(payload) else {
            return;
        };
        let Some(Session {
            state: State::Command { target, size },
            ..
        }) = self.session_mut(key)
        else {
            return;
        };
        *size = new;
        if let Some(target) = *target {
            self.outputs.push_back(Output::Resize { target, size: new });
        }
    }

    fn start(
        &mut self,
        now: Instant,
        key: SessionKey,
        kind: TargetKind,
        outbox: &mut Outbox,
    ) -> Option<TargetId> {
        let on_terminal = matches!(kind, TargetKind::Terminal);
        let session = self.session_mut(key)?;
        let State::Command { size, .. } = session.state else {
            return None;
        };
        let user = session.user;
        let terminal = match on_terminal {
            true => session.environment.add_terminal(),
            false => Ok(()),
        };
        let argv = terminal.map_err(|error| error.to_string()).and_then(|()| {
            command::argv(&session.command, &session.client_args, &session.environment)
                .map_err(|error| error.to_string())
        });
        let (argv, paths) = match argv {
            Ok(argv) => argv,
            Err(text) => {
                self.close(now, key, EXIT_INTERNAL, &text, outbox);
                return None;
            }
        };
        let files = session
            .environment
            .files()
            .map(|(k, v)| (k.to_owned(), v.to_vec()))
            .collect();
        let command = Box::new(Command {
            argv,
            paths,
            environment: session.environment.to_process(),
            files,
            terminal: on_terminal.then_some(size),
        });
        let file_count = command.files.len();
        let room = self.shares.ask(user, Table::Files, file_count);
        let id = match room.and_then(|()| self.new_target(now, key, kind, None)) {
            Ok(id) => id,
            Err(full) => {
                self.close(now, key, EXIT_INTERNAL, &full.to_string(), outbox);
                return None;
            }
        };
        if self.shares.take(user, Table::Files, file_count).is_ok()
            && let Some(target) = self.target_mut(id)
        {
            target.files = file_count;
        }
        if let Some(Session {
            state: State::Command { target, .. },
            ..
        }) = self.session_mut(key)
        {
            *target = Some(id);
        }
        self.counters.commands += 1;
        self.outputs.push_back(Output::Spawn {
            target: id,
            command,
        });
        Some(id)
    }

    /// The process could not be started; `code` and `text` go to the client as they are.
    pub(super) fn spawn_failed(
        &mut self,
        now: Instant,
        id: TargetId,
        code: u16,
        text: &str,
        outbox: &mut Outbox,
    ) {
        if let Some(key) = self.target(id).and_then(|target| target.session) {
            self.close(now, key, code, text, outbox);
        }
    }

    /// Everything that the client will get has been queued: close with the leader's code.
    pub(super) fn finish_process(&mut self, now: Instant, id: TargetId, outbox: &mut Outbox) {
        let Some(target) = self.target_mut(id) else {
            return;
        };
        let (Some(key), Some(drain)) = (target.session, &target.drain) else {
            return;
        };
        let exit = drain.exit;
        target.end = End::Normal;
        self.finish(now, key, exit.code(), &outcome(exit), outbox);
    }

    /// An output of a process ended.
    pub(super) fn process_silent(&mut self, now: Instant, id: TargetId, outbox: &mut Outbox) {
        let is_over = self.target(id).is_some_and(|target| {
            target.is_silent() && target.drain.is_some() && target.phase == Phase::Streaming
        });
        if is_over {
            self.finish_process(now, id, outbox);
        }
    }
}

/// Upstream's sentence for how a command ended; empty for success.
fn outcome(exit: Exit) -> String {
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
