//! What the processes of a fleet are handed on of this process's environment, which they do not have otherwise.

use leveret_common::config::environment;

/// Names the rule that a process breaks, where it was built so that it can (`docs/sabotage.md`).
const SABOTAGE: &str = "LEVERET_SABOTAGE";

/// Returns the variable with the rule that is to be broken, if any.
pub(super) fn sabotage() -> Option<(&'static str, String)> {
    let rule = environment::read().remove(SABOTAGE)?;
    (!rule.is_empty()).then_some((SABOTAGE, rule))
}
