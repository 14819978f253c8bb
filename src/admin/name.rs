//! Agent names: what `create` makes of a typed name and which names the server takes.

/// Word characters that a name needs at least.
const WORD_MIN: usize = 3;
/// Separators that a name may have at most.
const SEPARATORS_MAX: usize = 253;

/// The name as `create` sends it: accents dropped, lower case, spaces as `_`.
///
/// Letters that have no plain form stay as they are; [`is_allowed`] then refuses them.
pub fn normalise(typed: &str) -> String {
    typed
        .chars()
        .flat_map(char::to_lowercase)
        .filter(|c| !is_combining_mark(*c))
        .map(|c| if c == ' ' { '_' } else { without_mark(c) })
        .collect()
}

/// The server's rule, `^[a-zA-Z0-9_]+(?:[-\.]?[a-zA-Z0-9_]+){2,253}$`.
pub fn is_allowed(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_separator = |c: char| c == '-' || c == '.';
    let words = name.chars().filter(|c| is_word(*c)).count();
    let separators = name.chars().filter(|c| is_separator(*c)).count();
    words + separators == name.chars().count()
        && words >= WORD_MIN
        && separators <= SEPARATORS_MAX
        && name.split(is_separator).all(|run| !run.is_empty())
}

fn is_combining_mark(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

fn without_mark(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    MARKED
        .iter()
        .find(|(_, marked)| marked.contains(c))
        .map_or(c, |(plain, _)| *plain)
}

/// Every lower-case letter whose canonical decomposition is an ASCII letter and marks.
const MARKED: [(char, &str); 25] = [
    ('a', "àáâãäåāăąǎǟǡǻȁȃȧḁạảấầẩẫậắằẳẵặ"),
    ('b', "ḃḅḇ"),
    ('c', "çćĉċčḉ"),
    ('d', "ďḋḍḏḑḓ"),
    ('e', "èéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệ"),
    ('f', "ḟ"),
    ('g', "ĝğġģǧǵḡ"),
    ('h', "ĥȟḣḥḧḩḫẖ"),
    ('i', "ìíîïĩīĭįǐȉȋḭḯỉị"),
    ('j', "ĵǰ"),
    ('k', "ķǩḱḳḵ"),
    ('l', "ĺļľḷḹḻḽ"),
    ('m', "ḿṁṃ"),
    ('n', "ñńņňǹṅṇṉṋ"),
    ('o', "òóôõöōŏőơǒǫǭȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợ"),
    ('p', "ṕṗ"),
    ('r', "ŕŗřȑȓṙṛṝṟ"),
    ('s', "śŝşšșṡṣṥṧṩ"),
    ('t', "ţťțṫṭṯṱẗ"),
    ('u', "ùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự"),
    ('v', "ṽṿ"),
    ('w', "ŵẁẃẅẇẉẘ"),
    ('x', "ẋẍ"),
    ('y', "ýÿŷȳẏẙỳỵỷỹ"),
    ('z', "źżžẑẓẕ"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_normalised_like_upstream() {
        for (typed, sent) in [
            ("dev", "dev"),
            ("Prod DB", "prod_db"),
            ("São-Tomé", "sao-tome"),
            ("e\u{301}tat", "etat"),
            ("İzmir", "izmir"),
            ("straße", "straße"),
        ] {
            assert_eq!(normalise(typed), sent);
        }
    }

    #[test]
    fn the_rule_is_the_servers() {
        for good in ["dev", "a_b", "a-bc", "a.b-c", "___", "my-agent.1", "A1b"] {
            assert!(is_allowed(good), "{good}");
        }
        for bad in [
            "", "ab", "a-b", "-abc", "abc-", "a--bc", "a.-bc", "a/bc", "a bc", "straße", "abc\n",
        ] {
            assert!(!is_allowed(bad), "{bad}");
        }
        assert!(is_allowed(&"a".repeat(300)));
        assert!(is_allowed(&vec!["a"; 254].join("-")));
        assert!(!is_allowed(&vec!["a"; 255].join("-")));
    }

    proptest! {
        #[test]
        fn an_allowed_name_is_safe_in_a_path_and_stays_under_normalising(name in "[a-c._ -]{0,12}") {
            if is_allowed(&name) {
                prop_assert_eq!(normalise(&name), name);
            }
        }

        #[test]
        fn any_text_can_be_normalised(name: String) {
            let once = normalise(&name);
            prop_assert_eq!(normalise(&once), once);
        }
    }
}
