//! Servers, and those in between, that would have less encrypted than the connection wants, or lead elsewhere.

use super::*;

impl World {
    /// Somebody in between writes another word on encryption into the server's answer.
    fn alter_answer(&mut self, word: u8) {
        // Entries of five bytes behind the packet's header of eight: token, offset, length.
        let at = usize::from(u16::from_be_bytes([self.under_way[14], self.under_way[15]]));
        assert_eq!(self.under_way[13], 1, "the word on encryption");
        self.under_way[8 + at] = word;
    }

    /// As far as the next dial.
    fn run_to_dial(&mut self) {
        let dials = self.places.len();
        while self.places.len() == dials {
            assert_eq!(self.run(1, 1), 1, "{:?}", self.packets);
        }
    }
}

fn routing(word: u8) -> Conduct {
    Conduct {
        route: Some(("far.example".to_owned(), 1433)),
        ..Conduct::new(word)
    }
}

fn client() -> Vec<u8> {
    Login7::default().encoded(4088)
}

#[test]
fn who_wants_all_encrypted_is_not_talked_down_to_the_login() {
    // Even where nobody could listen.
    for is_plain_allowed in [false, true] {
        let account = account().with_plain_password_allowed(is_plain_allowed);
        let mut world = World::new(account, Encryption::Full, Conduct::new(encryption::ON));
        world.say(&prelogin(), usize::MAX);
        world.alter_answer(encryption::OFF);
        world.run(usize::MAX, usize::MAX);
        world.say(&client(), usize::MAX);
        let (number, text) = world.error();
        assert_eq!(number, 18_456);
        assert!(text.contains("encrypts only the login: set ENCRYPT=optional"));
        assert!(world.wishes.is_empty() && world.heard().packets.is_empty());
        assert_eq!(world.refusal().cause, Cause::Unsupported);
    }
}

#[test]
fn all_that_goes_to_the_second_server_is_encrypted_whatever_the_first_was() {
    for wish in [Encryption::Login, Encryption::Full] {
        let account = account().with_plain_password_allowed(true);
        let mut world = World::new(account, wish, routing(encryption::REQUIRED));
        world.conducts.push(Conduct::new(encryption::OFF));
        let world = world.login();
        world.relay();
        assert_eq!(world.dials(), 2);
        assert_eq!(world.heard().options[1].1, [encryption::ON], "{wish:?}");
        assert!(world.server.as_ref().unwrap().is_secure);
    }
}

#[test]
fn a_second_server_without_encryption_of_all_gets_no_password() {
    for (wish, word, text) in [
        (Encryption::Full, encryption::NONE, "has no encryption"),
        (Encryption::Login, encryption::NONE, "has no encryption"),
        (Encryption::Full, encryption::OFF, "encrypts only the login"),
        (
            Encryption::Login,
            encryption::OFF,
            "encrypts only the login",
        ),
    ] {
        let account = account().with_plain_password_allowed(true);
        let mut world = World::new(account, wish, routing(encryption::REQUIRED));
        world.conducts.push(Conduct::new(encryption::ON));
        world.say(&prelogin(), usize::MAX);
        world.run(usize::MAX, usize::MAX);
        world.say(&client(), usize::MAX);
        world.run_to_dial();
        world.alter_answer(word);
        world.run(usize::MAX, usize::MAX);
        assert!(world.error().1.contains(text), "{:?}", world.error());
        assert!(world.heard().packets.is_empty());
        assert_eq!(world.wishes.len(), 1);
    }
}

#[test]
fn a_server_that_nobody_vouches_for_leads_nowhere() {
    for wish in [Encryption::Full, Encryption::Login, Encryption::Strict] {
        let account = account().with_tls(SslMode::Require);
        let mut first = routing(encryption::REQUIRED);
        first.is_strict = wish == Encryption::Strict;
        let mut world = World::new(account, wish, first);
        world.conducts.push(Conduct::new(encryption::ON));
        let world = world.login();
        let text = world.error().1;
        assert!(text.contains("INSECURE"), "{text}");
        let places: Vec<_> = world.places.iter().flatten().collect();
        assert!(places.is_empty(), "{places:?}");
    }
}
