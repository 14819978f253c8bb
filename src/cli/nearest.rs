//! The word that was probably meant.

/// The candidate nearest to `typed`, if one is near enough to be a slip of the fingers.
pub(super) fn nearest<'a>(
    typed: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let near = candidates.filter_map(|candidate| near(typed, candidate));
    near.min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The candidate and its distance, if that is small for a word of this length.
pub(super) fn near<'a>(typed: &str, candidate: &'a str) -> Option<(usize, &'a str)> {
    let distance = distance(typed, candidate);
    (distance <= 1 + typed.chars().count() / 4).then_some((distance, candidate))
}

/// Letters inserted, left out, replaced or swapped with the neighbour; compared up to
/// [`COMPARED_MAX`] letters.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(COMPARED_MAX).collect();
    let b: Vec<char> = b.chars().take(COMPARED_MAX).collect();
    let mut before: Vec<usize> = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let differs = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (last[j - 1] + differs).min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or_default()
}

/// Longer than any command or flag.
const COMPARED_MAX: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slips_are_found_and_other_words_are_not() {
        let words = || ["doctor", "version", "start agent", "drain-timeout"].into_iter();
        for (typed, meant) in [
            ("dcotor", Some("doctor")),
            ("docter", Some("doctor")),
            ("strat agent", Some("start agent")),
            ("drain-timout", Some("drain-timeout")),
            ("bananas", None),
            ("", None),
        ] {
            assert_eq!(nearest(typed, words()), meant, "{typed}");
        }
    }

    proptest! {
        #[test]
        fn distance_is_symmetric_and_zero_only_for_equal_words(a in "\\PC{0,12}", b in "\\PC{0,12}") {
            prop_assert_eq!(distance(&a, &b), distance(&b, &a));
            prop_assert_eq!(distance(&a, &b) == 0, a == b);
        }
    }
}
