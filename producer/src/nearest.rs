//! "Did you mean": the nearest of the names that exist, as half a sentence.
//!
//! Prefers saying nothing to saying something far-fetched.

/// Below this likeness (0 to 1) a name is another word, not a slip.
const LIKE: f64 = 0.6;

/// Says that `written` does not exist here, what was probably meant, and what there is.
#[must_use]
pub fn unknown(what: &str, written: &str, names: &[&str]) -> String {
    let shown: String = written.chars().take(40).collect();
    let nearest = names
        .iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(written, name), name))
        .filter(|(likeness, _)| *likeness >= LIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other));
    match nearest {
        Some((_, name)) => format!("there is no {what} {shown:?}; did you mean {name:?}?"),
        None => format!("there is no {what} {shown:?}; there are {}", names.join(", ")),
    }
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
