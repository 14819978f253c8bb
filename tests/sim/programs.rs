//! What is behind targets: each act hears a little, says a little, and ends when its mood says so.

use std::time::Duration;

use hoop_lite::session::{Channel, Exit, TargetId};

use crate::net::{End, Outcome};
use crate::shell::heard;
use crate::target::{Mood, Target};
use crate::world::{Event, World};

/// Said in one act.
const SPEECH_MAX: u64 = 16 * 1024;

/// The same of who prints for ever.
const LINE_MAX: u64 = 50;

impl World {
    /// Lets a target act after a while.
    pub fn wake(&mut self, id: TargetId, delay: Duration) {
        let Some(target) = self.targets.get_mut(&id) else {
            return;
        };
        if target.is_open && !target.is_scheduled {
            target.is_scheduled = true;
            let pause = match self.is_hurried {
                true => Duration::from_micros(10),
                false => target.mood.pause(&mut self.dice),
            };
            self.after(delay + pause, Event::Act(id));
        }
    }

    /// A target does what it does.
    pub fn act(&mut self, id: TargetId) {
        let Some(mut target) = self.targets.remove(&id) else {
            return;
        };
        target.is_scheduled = false;
        let mut is_busy = false;
        if target.is_over && target.mood == Mood::TalksOn && !self.is_hurried {
            is_busy |= self.say(id, &mut target);
        }
        if !target.is_over {
            is_busy |= self.hear(id, &mut target);
            is_busy |= self.say(id, &mut target);
            self.end_if_done(id, &mut target);
        }
        let arrival = target.input.next_arrival();
        let wait = arrival.map(|at| at.saturating_duration_since(self.now));
        let is_over = target.is_over || target.input_has_ended;
        self.targets.insert(id, target);
        if is_busy {
            self.wake(id, Duration::ZERO);
        } else if let Some(wait) = wait.filter(|wait| !is_over && !wait.is_zero()) {
            self.wake(id, wait);
        }
    }

    /// `true` when it would hear more.
    fn hear(&mut self, id: TargetId, target: &mut Target) -> bool {
        let mut appetite = target.mood.appetite(target.taken);
        if self.is_hurried && matches!(target.mood, Mood::Slow(_)) {
            appetite = 64 * 1024;
        }
        if target.mood == Mood::Echo {
            appetite = appetite.min(target.outputs[0].room());
        }
        if appetite == 0 {
            return false;
        }
        let mut buffer = vec![0; appetite.min(target.input.held().max(1))];
        match target.input.read(self.now, &mut buffer) {
            Outcome::Bytes(size) => {
                let (text, from) = heard(self, target);
                text.check(
                    from,
                    &buffer[..size],
                    &format!("target of relay {}", target.relay),
                );
                target.taken += size as u64;
                if target.mood == Mood::Echo {
                    self.speak(id, target, 0, size);
                }
                if size > 0 {
                    self.model.relays[target.relay].taken_at = Some(self.now);
                }
                if target.input.invites_writer() {
                    let delay = self.delay();
                    self.after(delay, Event::Writable(id));
                }
                true
            }
            Outcome::Closed => {
                target.input_has_ended = true;
                false
            }
            Outcome::WouldBlock | Outcome::Broken => false,
        }
    }

    /// `true` when it has more to say.
    fn say(&mut self, id: TargetId, target: &mut Target) -> bool {
        if target.mood == Mood::Echo {
            return false;
        }
        let channel = match target.is_process && !target.is_terminal {
            true => self.dice.between(0, 1),
            false => 0,
        };
        let left = target.mood.speech() - target.said[0] - target.said[1];
        let most = if target.mood == Mood::TalksOn {
            LINE_MAX
        } else {
            SPEECH_MAX
        };
        let size = usize::try_from(left.min(most)).unwrap();
        let size = size.min(target.outputs[channel].room());
        if size > 0 {
            self.speak(id, target, channel, size);
        }
        size > 0
    }

    fn speak(&mut self, id: TargetId, target: &mut Target, channel: usize, size: usize) {
        let delay = self.delay();
        // What an echo says is known when it hears something: a probe is anybody's until then.
        let relay = &self.model.relays[target.relay];
        let (text, base) = match target.mood {
            Mood::Echo => (relay.text, relay.text_from.unwrap_or(0)),
            _ => (target.texts[channel], 0),
        };
        let text = text.bytes(base + target.said[channel], size);
        target.outputs[channel].write(self.now, delay, &text);
        target.said[channel] += size as u64;
        self.announce(id, channel, delay);
    }

    fn announce(&mut self, id: TargetId, channel: usize, delay: Duration) {
        let channel = [Channel::Output, Channel::Error][channel];
        self.after(delay, Event::Readable(id, channel));
    }

    fn end_if_done(&mut self, id: TargetId, target: &mut Target) {
        let is_through = target.input_has_ended && target.has_said_all();
        let has_tired = target.is_terminal && self.dice.chance(20) || self.is_hurried;
        match target.mood {
            Mood::Resets(n) if target.taken >= u64::from(n) => self.reset(id, target),
            Mood::ClosesAt(n) if target.taken >= u64::from(n) => {
                target.input.end(self.now, Duration::ZERO, End::Reset);
                self.after(Duration::ZERO, Event::Writable(id));
                self.end(id, target);
            }
            Mood::HalfCloses(_) if target.has_said_all() && !target.outputs[0].has_ended() => {
                self.hang_up(id, target);
            }
            Mood::Mute | Mood::Hangs => {}
            Mood::LeavesBehind | Mood::TalksOn if target.has_said_all() => self.exit(id, target),
            Mood::Says(_) if target.is_process && target.has_said_all() => self.end(id, target),
            Mood::Echo if target.is_terminal && has_tired && target.has_said_all() => {
                self.end(id, target);
            }
            _ if is_through => self.end(id, target),
            _ => {}
        }
    }

    fn end(&mut self, id: TargetId, target: &mut Target) {
        self.hang_up(id, target);
        self.exit(id, target);
    }

    fn hang_up(&mut self, id: TargetId, target: &mut Target) {
        let delay = self.delay();
        for (channel, output) in target.outputs.iter_mut().enumerate() {
            output.end(self.now, delay, End::Fin);
            self.announce(id, channel, delay);
        }
    }

    fn reset(&mut self, id: TargetId, target: &mut Target) {
        target.is_over = true;
        target.input.end(self.now, Duration::ZERO, End::Reset);
        target.outputs[0].end(self.now, Duration::ZERO, End::Reset);
        self.announce(id, 0, Duration::ZERO);
        self.after(Duration::ZERO, Event::Writable(id));
    }

    fn exit(&mut self, id: TargetId, target: &mut Target) {
        target.is_over = true;
        if target.is_process {
            let code = u8::try_from(self.dice.between(0, 255)).unwrap();
            let exit = match self.dice.chance(200) {
                true => Exit::Signal(code % 31 + 1),
                false => Exit::Code(code),
            };
            let delay = self.delay();
            self.after(delay, Event::Exited(id, exit));
        }
    }

    /// The agent closed a connection in good order: the service still gets what was written.
    pub fn read_to_the_end(&mut self, mut target: Target) {
        let later = self.now + Duration::from_secs(3600);
        let mut buffer = vec![0; target.input.held()];
        if let Outcome::Bytes(size) = target.input.read(later, &mut buffer) {
            let (text, from) = heard(self, &target);
            text.check(from, &buffer[..size], "a service at its end");
            target.taken += size as u64;
        }
        let relay = &self.model.relays[target.relay];
        let is_cut_off = target.is_over;
        assert!(
            is_cut_off || target.taken == relay.written,
            "a service got {} of {relay:?}",
            target.taken
        );
    }
}
