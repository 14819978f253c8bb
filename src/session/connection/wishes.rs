//! What the machine of a connection is told, and what becomes of its wishes.

use super::{Connection, Connections};
use crate::base::ByteBuf;
use crate::login::CancelKey;
use crate::session::about::About;
use crate::session::counters::Failure;
use crate::session::error::SessionError;
use crate::session::middle::{Call, Ends, Middle};
use crate::session::names::{SessionKey, TargetId};
use crate::session::output::Where;
use crate::session::protocol::Dialect;
use crate::session::seam::{Farewell, Next, Why};
use crate::session::shares::Table;
use crate::session::target::Owner;
use crate::session::turn::Turn;
use crate::web::View;

/// Targets that are closed and dialled in a row: a second try, or the next of several requests.
const WISHES_MAX: usize = 4;

impl Connections {
    /// A connection with a machine, and no target yet. Where there is no room for one, the machine still hears its
    /// client: it can say so in the client's words, and a cancel request needs none.
    pub(super) fn interpose(
        &mut self,
        dialect: Dialect,
        about: &About,
        (id, view): (&[u8], Option<View>),
        turn: &mut Turn<'_>,
    ) -> Result<(), SessionError> {
        let machine = about.machine(dialect, view, turn.now, turn.means)?;
        let place = match turn.shares.take(about.user, Table::Relays, 1) {
            Ok(()) => Table::Relays,
            Err(full) => {
                let waits = turn.shares.take(about.user, Table::Waiting, 1);
                waits.map_err(|_| full)?;
                Table::Waiting
            }
        };
        let middle = Middle::new(turn.now, machine, place);
        self.insert(id, None, Some(Box::new(middle)));
        Ok(())
    }

    /// Does what a machine wants.
    pub(super) fn follow(
        &mut self,
        key: SessionKey,
        about: &mut About,
        id: &[u8],
        next: Next,
        turn: &mut Turn<'_>,
    ) {
        let mut next = next;
        for _ in 0..WISHES_MAX {
            next = match next {
                Next::Dial(place) => self.dial(key, about, (id, place), turn),
                Next::HangUp => self.hang_up(key, about, id, turn),
                _ => break,
            };
        }
        let farewell = match next {
            Next::Go | Next::Pass => return,
            Next::Dial(_) | Next::HangUp => Farewell::Ended,
            Next::Close(farewell) => farewell,
            Next::Cancel(cancelled) => self.cancel(key, about, &cancelled, turn),
            Next::Errand(place, machine) => {
                turn.start_errand(key, about, place, machine);
                Farewell::Ended
            }
        };
        self.close(about, id, farewell, turn);
    }

    /// The query of another connection is to be cancelled. The client has pointed the id of the request at the
    /// connection whose number it knows: a word about its end would be taken for that one's.
    fn cancel(
        &mut self,
        session: SessionKey,
        about: &About,
        key: &CancelKey,
        turn: &mut Turn<'_>,
    ) -> Farewell {
        let mut farewell = Farewell::Ended;
        // Servers behind one name may have given the same number twice.
        for middle in self.open.values_mut().filter_map(|it| it.between.as_mut()) {
            let machine = middle.machine();
            if !machine.runs(key.pid) {
                continue;
            }
            farewell = Farewell::Silent;
            if let Some((peer, errand)) = machine.errand(key) {
                turn.start_errand(session, about, Where::Peer(peer), errand);
            }
        }
        farewell
    }

    pub(super) fn call(
        &mut self,
        key: SessionKey,
        about: &About,
        id: &[u8],
        call: Call<'_>,
        turn: &mut Turn<'_>,
    ) -> Next {
        match self.open.get_mut(id) {
            Some(Connection {
                target,
                between: Some(middle),
            }) => {
                let ends = Ends {
                    key,
                    about,
                    id,
                    target: *target,
                };
                middle.call(call, &ends, turn)
            }
            _ => Next::Go,
        }
    }

    /// No target for a machine, until it wants another one.
    fn hang_up(
        &mut self,
        key: SessionKey,
        about: &mut About,
        id: &[u8],
        turn: &mut Turn<'_>,
    ) -> Next {
        let Some(connection) = self.open.get_mut(id) else {
            return Next::Go;
        };
        if let Some(before) = connection.target.take() {
            turn.close_target(before, false);
        }
        let has_place = connection
            .between
            .as_mut()
            .is_some_and(|middle| middle.take_place(about, turn.shares));
        match has_place {
            true => self.call(key, about, id, Call::HungUp, turn),
            false => Next::Close(Farewell::Ended),
        }
    }

    /// A target for a machine, at this place or the session's, for the one that it may have.
    fn dial(
        &mut self,
        key: SessionKey,
        about: &mut About,
        (id, place): (&[u8], Option<Where>),
        turn: &mut Turn<'_>,
    ) -> Next {
        let Some(connection) = self.open.get_mut(id) else {
            return Next::Go;
        };
        if let Some(before) = connection.target.take() {
            turn.close_target(before, false);
        }
        if let Some(middle) = &mut connection.between {
            middle.give_place(about, turn.shares);
        }
        if self.go_on_with_kept(key, about, id, turn) {
            return self.call(key, about, id, Call::Dialled, turn);
        }
        let (target, said) = match self.reach(key, about, (id, place), turn) {
            Ok(reached) => reached,
            Err(full) => {
                turn.connection_failed(about, id, Failure::Limit, &full.to_string());
                return self.call(key, about, id, Call::Refuse(Why::NoRoom), turn);
            }
        };
        if let Some(connection) = self.open.get_mut(id) {
            connection.target = Some(target);
        }
        if let Some(said) = said {
            let next = self.hand_over(key, about, id, (target, &said), turn);
            if !matches!(next, Next::Go) {
                return next;
            }
        }
        self.call(key, about, id, Call::Dialled, turn)
    }

    /// Another connection's target, which stands and serves nothing, where the machine can go on with that.
    fn go_on_with_kept(
        &mut self,
        key: SessionKey,
        about: &About,
        id: &[u8],
        turn: &mut Turn<'_>,
    ) -> bool {
        if !self.middle(id).is_some_and(|it| it.machine().takes_kept()) {
            return false;
        }
        let mut open = self.open.iter_mut();
        let found = open.find_map(|(kept, connection)| {
            let wire = connection.between.as_mut()?.machine().give_kept()?;
            Some((kept.clone(), wire))
        });
        let Some((kept, wire)) = found else {
            return false;
        };
        let Some(Connection {
            target: Some(target),
            between: Some(between),
        }) = self.open.remove(&kept)
        else {
            return false;
        };
        between.forget(about, turn.targets, turn.shares);
        let owner = Owner::Connection(key, id.into());
        if !turn.targets.hand_on(target, owner) {
            turn.close_target(target, false);
            return false;
        }
        if let Some(connection) = self.open.get_mut(id) {
            connection.target = Some(target);
        }
        if let Some(middle) = self.middle(id) {
            middle.machine().take_kept(wire);
        }
        true
    }

    /// A target that stands already, and what it has said.
    fn hand_over(
        &mut self,
        key: SessionKey,
        about: &About,
        id: &[u8],
        (target, said): (TargetId, &ByteBuf),
        turn: &mut Turn<'_>,
    ) -> Next {
        let peer = turn.targets.get(target).and_then(|target| target.peer());
        let mut next = self.call(key, about, id, Call::Started(peer), turn);
        let mut rest = said.filled();
        while let Next::Go = next
            && !rest.is_empty()
            && let Some(middle) = self.middle(id)
            && let Some(slot) = middle.slot(turn.means, rest.len())
        {
            let size = slot.len().min(rest.len());
            let (now, later) = rest.split_at(size);
            slot[..size].copy_from_slice(now);
            rest = later;
            next = self.call(key, about, id, Call::TargetSent(size), turn);
        }
        next
    }
}
