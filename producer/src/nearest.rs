//! "Did you mean": the nearest of the names that exist, as half a sentence.
//!
//! Prefers saying nothing to saying something far-fetched.

/// Below this likeness (0 to 1) a name is another word, not a slip.
const LIKE: f64 = 0.6;

/// Says that `written` does not exist here, what was probably meant, and what there is.
#[must_use]
pub fn unknown(what: &str, written: &str, names: &[&str]) -> String {
    let shown: String = written.chars().take(40).collect();
    let nearest = of(written, names.iter().copied());
    match nearest {
        Some(name) => format!("there is no {what} {shown:?}; did you mean {name:?}?"),
        None => format!("there is no {what} {shown:?}; there are {}", names.join(", ")),
    }
}

/// Returns the one of `names` that is most like `written`; none where none is a likely slip of it.
#[must_use]
pub fn of<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name| (strsim::normalized_damerau_levenshtein(written, name), name);
    let like = names.into_iter().map(likeness).filter(|(likeness, _)| *likeness >= LIKE);
    like.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let names = ["kind", "queue", "max_attempts"];
        assert!(unknown("field", "que", &names).ends_with("did you mean \"queue\"?"));
        assert!(unknown("field", "max_attempt", &names).contains("did you mean \"max_attempts\""));
        assert!(
            unknown("field", "colour", &names).ends_with("there are kind, queue, max_attempts")
        );
    }
}
