//! Single rules broken on purpose: `breaks(Break::BareSetnx)` stands where the rule is kept.
//!
//! A test that has never been red proves nothing. So each central rule can be broken in a process,
//! and `scripts/sabotage.sh` shows which test notices. Compiled to nothing without the feature
//! `sabotage`, which no release build has; such a build refuses the variable `LEVERET_SABOTAGE` like
//! any other that sets no key. With the feature, the variable names the one rule that the process
//! breaks, and the process says so on stderr.

/// Whether rules can be broken.
pub const COMPILED_IN: bool = cfg!(feature = "sabotage");

/// Names the rule that a process breaks.
#[cfg(feature = "sabotage")]
pub const VARIABLE: &str = "LEVERET_SABOTAGE";

/// Lists the rules with their names and what becomes of each.
macro_rules! breaks {
    ($($variant:ident = $name:literal, $what:literal;)+) => {
        /// A rule that can be broken, called after how.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Break {
            $(#[doc = $what] $variant,)+
        }

        impl Break {
            /// Every rule that can be broken.
            #[cfg(any(feature = "sabotage", test))]
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the name of the break, as the environment has it.
            #[cfg(any(feature = "sabotage", test))]
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

breaks! {
    AckBeforeRecord = "ack-before-record",
        "A delivery is acked when its attempt has ended, before the outcome is recorded.";
    RetryPublishedAfterAck = "retry-published-after-ack",
        "The next attempt is marked and acked first, and published then.";
    ParkWithoutPublish = "park-without-publish",
        "A parked delivery is acked and its copy never published.";
    RefusalAcked = "refusal-acked",
        "A worker whose decision is refused acks instead of claiming again.";
    ResumedAsDelivered = "resumed-as-delivered",
        "A decided outcome is published under the numbers of the delivery that resumes it.";
    TakeoverWithoutGrace = "takeover-without-grace",
        "A dead owner is believed to be dead before everybody had time to speak.";
    BareSetnx = "bare-setnx",
        "A claim that is there is somebody's for ever: the delivery is acked.";
    TakeoverWithoutFence = "takeover-without-fence",
        "A takeover does not look whom it takes the task from.";
    StaleOrderIgnored = "stale-order-ignored",
        "A late copy of an older attempt is claimed.";
    FenceRestarts = "fence-restarts",
        "Fences count from one: after a wipe they repeat.";
    ExpiryFirst = "expiry-first",
        "A task that has expired ends so, also where its outcome is decided.";
    CrashNotCharged = "crash-not-charged",
        "A takeover of a running task charges no crash.";
    ChargeNeighbours = "charge-neighbours",
        "A task that has crashed a worker starts beside others.";
    HeartbeatListsNothing = "heartbeat-lists-nothing",
        "A heartbeat renews none of the claims.";
    CopiedXHeaders = "copied-x-headers",
        "Headers that the broker acts on are copied to what is sent on.";
    ConfirmNotAwaited = "confirm-not-awaited",
        "A publish is safe once it is written to the socket.";
    NotMandatory = "not-mandatory",
        "A message that reaches no queue is not asked back.";
    UnknownIsAccepted = "unknown-is-accepted",
        "A task whose publish nobody confirmed in time counts as accepted.";
    FollowUpIdRandom = "follow-up-id-random",
        "A follow-up has another id each time its parent's outcome is made ready.";
    OccurrenceIdRandom = "occurrence-id-random",
        "An occurrence is another task for each beat that finds it due.";
    PositionBeforeConfirm = "position-before-confirm",
        "A schedule moves on although its occurrence was not confirmed.";
    LetterAckedUnconfirmed = "letter-acked-unconfirmed",
        "A walk acks dead letters whose copies were not confirmed.";
    RowMarkedUnconfirmed = "row-marked-unconfirmed",
        "A row of the outbox counts as sent although it was not confirmed.";
    LockExtended = "lock-extended-without-owner-check",
        "A lease is renewed by whoever asks.";
}

/// Tells whether this process breaks the rule.
#[cfg(feature = "sabotage")]
#[must_use]
pub fn breaks(rule: Break) -> bool {
    chosen() == Some(rule)
}

/// Tells that nothing is broken: no rule can be.
#[cfg(not(feature = "sabotage"))]
#[inline(always)]
#[must_use]
pub const fn breaks(_rule: Break) -> bool {
    false
}

/// Reads the name of a break; empty is none.
///
/// # Errors
/// When no break has this name; says which there are.
#[cfg(any(feature = "sabotage", test))]
pub fn read(name: &str) -> Result<Option<Break>, String> {
    let known = Break::ALL.iter().copied().find(|rule| rule.name() == name);
    if known.is_none() && !name.is_empty() {
        let all: Vec<&str> = Break::ALL.iter().map(|rule| rule.name()).collect();
        return Err(format!("it names no rule to break; there are {}", all.join(", ")));
    }
    Ok(known)
}

/// Logs which rule this process breaks, if any.
#[cfg(feature = "sabotage")]
pub fn announce() {
    if let Some(rule) = chosen() {
        tracing::error!(reason = rule.name(), "this process breaks a rule on purpose");
    }
}

/// Does nothing: no rule can be broken.
#[cfg(not(feature = "sabotage"))]
#[inline(always)]
pub const fn announce() {}

/// Reads the environment, once in the life of a process.
#[cfg(feature = "sabotage")]
fn chosen() -> Option<Break> {
    use std::io::Write;
    use std::sync::OnceLock;

    static CHOSEN: OnceLock<Option<Break>> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let environment = crate::config::environment::read();
        let name = environment.get(VARIABLE).map(String::as_str).unwrap_or_default();
        let said = match read(name) {
            Ok(None) => return None,
            Ok(Some(_)) => format!("{VARIABLE}: this process breaks a rule on purpose: {name}"),
            Err(why) => format!("{VARIABLE} = {name:?}: {why}"),
        };
        // Neither a log level nor a test's capture hides it. Whoever closed stderr has seen enough.
        let _ = writeln!(std::io::stderr(), "{said}");
        // A typo must not look like a rule that nothing notices to be broken.
        read(name).unwrap_or_else(|_| std::process::abort())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_and_a_wrong_one_is_told_which_there_are() {
        assert_eq!(read(""), Ok(None));
        for rule in Break::ALL {
            assert_eq!(read(rule.name()), Ok(Some(*rule)));
        }
        let told = read("bare-setnxx").unwrap_err();
        assert!(Break::ALL.iter().all(|rule| told.contains(rule.name())), "{told}");
    }

    #[test]
    fn every_break_has_its_rows_in_the_proof_and_on_the_page_the_same_tests() {
        let proof = include_str!("../../scripts/sabotage.sh");
        let page = include_str!("../../docs/sabotage.md");
        let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
        let told: Vec<(&str, &str)> = rows.filter_map(|row| row.split_once('`')).collect();
        let names: Vec<&str> = told.iter().map(|(name, _)| *name).collect();
        let all: Vec<&str> = Break::ALL.iter().map(|rule| rule.name()).collect();
        assert_eq!(names, all);

        let rows = proof.lines().filter_map(|line| line.strip_prefix("row "));
        let proved: Vec<(&str, &str)> = rows.filter_map(|row| row.split_once(' ')).collect();
        let mut names: Vec<&str> = proved.iter().map(|(name, _)| *name).collect();
        names.dedup();
        assert_eq!(names, all);
        for (name, row) in proved {
            let test = row.split(' ').find(|word| word.contains("::")).unwrap_or("a test");
            let (_, told) = told.iter().find(|(told, _)| *told == name).unwrap();
            assert!(told.contains(&format!("`{test}`")), "{name}: {test} is not on the page");
        }
    }
}
