//! "Did you mean": the nearest of the names that exist.
//!
//! Responsible for the choice only; what is done with it is the reader's. Prefers saying nothing
//! to saying something far-fetched.

/// Below this likeness (0 to 1) a name is another word, not a slip: `log` is not `url`.
const LIKE: f64 = 0.65;

/// Returns the name that was probably meant: its last part alone, its first part alone, or a
/// misspelling. Names are dotted.
pub(super) fn nearest<'a>(
    written: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let is_end = |name: &&str| name.strip_suffix(written).is_some_and(|rest| rest.ends_with('.'));
    let is_start =
        |name: &&str| name.strip_prefix(written).is_some_and(|rest| rest.starts_with('.'));
    names.clone().find(is_end).or_else(|| names.clone().find(is_start)).or_else(|| {
        names
            .map(|name| (strsim::normalized_damerau_levenshtein(written, name), name))
            .filter(|(likeness, _)| *likeness >= LIKE)
            .max_by(|(one, _), (other, _)| one.total_cmp(other))
            .map(|(_, name)| name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let names = ["broker.url", "gateway.listen", "log.level", "worker.slots"];
        for (written, meant) in [
            ("broker.ulr", Some("broker.url")),
            ("brokr.url", Some("broker.url")),
            ("worker.slot", Some("worker.slots")),
            ("listen", Some("gateway.listen")),
            ("log", Some("log.level")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, names.into_iter()), meant, "{written}");
        }
    }
}
