//! What the retry policy promises: its verdicts, its text form and its bounds.

use proptest::prelude::*;

use super::*;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn failure(class: &str, attempt: u32) -> Failure<'_> {
    Failure { class, attempt, age: Duration::ZERO, asked: None, max_attempts: None }
}

fn read(json: &str) -> RetryPolicy {
    serde_json::from_str(json).unwrap_or_else(|why| panic!("{json}: {why}"))
}

fn refused(json: &str) -> String {
    serde_json::from_str::<RetryPolicy>(json).expect_err(json).to_string()
}

fn dead(reason: DeadReason) -> Verdict {
    Verdict::Dead { reason }
}

#[test]
fn a_task_is_retried_until_its_attempts_are_used_up() {
    let policy = read(r#"{"base": "1s", "jitter": "none", "max_attempts": 3}"#);
    let verdict = |attempt| policy.after_failure(&failure("error", attempt), 0.5);
    assert_eq!(verdict(1), Verdict::Retry { delay: s(1) });
    assert_eq!(verdict(2), Verdict::Retry { delay: s(2) });
    assert_eq!(verdict(3), dead(DeadReason::AttemptsExhausted));
    assert_eq!(verdict(4), dead(DeadReason::AttemptsExhausted));
}

#[test]
fn the_tasks_own_limit_wins_over_policy_and_rule() {
    let policy = read(r#"{"max_attempts": 3, "rules": {"slow": {"max_attempts": 5}}}"#);
    let verdict = |class, own| {
        let failure = Failure { max_attempts: own, ..failure(class, 4) };
        policy.after_failure(&failure, 0.0)
    };
    assert_eq!(verdict("error", None), dead(DeadReason::AttemptsExhausted));
    assert!(matches!(verdict("error", Some(5)), Verdict::Retry { .. }));
    assert!(matches!(verdict("slow", None), Verdict::Retry { .. }));
    assert_eq!(verdict("slow", Some(4)), dead(DeadReason::AttemptsExhausted));
}

#[test]
fn a_rule_decides_for_its_class_and_the_star_for_the_rest() {
    let policy = read(
        r#"{"jitter": "none", "base": "1s", "rules": {
            "*": "dead", "timeout": "retry", "busy": {"backoff": "fixed", "delay": "1m"}
        }}"#,
    );
    let verdict = |class| policy.after_failure(&failure(class, 1), 0.0);
    assert_eq!(verdict("error"), dead(DeadReason::Rule));
    assert_eq!(verdict("timeout"), Verdict::Retry { delay: s(1) });
    assert_eq!(verdict("busy"), Verdict::Retry { delay: s(60) });
}

#[test]
fn what_was_asked_for_is_neither_shortened_nor_spread() {
    let policy = read(r#"{"base": "1s", "max": "2s", "jitter": "full"}"#);
    for asked in [Duration::ZERO, s(1), s(86_400 * 400), Duration::MAX] {
        let failure = Failure { asked: Some(asked), ..failure("error", 1) };
        assert_eq!(policy.after_failure(&failure, 0.1), Verdict::Retry { delay: asked });
    }
}

#[test]
fn no_retry_begins_after_the_maximum_age() {
    let policy =
        read(r#"{"backoff": "fixed", "delay": "10s", "jitter": "none", "max_age": "60s"}"#);
    let verdict =
        |age, asked| policy.after_failure(&Failure { age, asked, ..failure("error", 1) }, 0.0);
    assert_eq!(verdict(s(50), None), Verdict::Retry { delay: s(10) });
    assert_eq!(verdict(s(51), None), dead(DeadReason::MaxAge));
    assert_eq!(verdict(s(1), Some(s(60))), dead(DeadReason::MaxAge));
    assert_eq!(verdict(Duration::MAX, Some(Duration::MAX)), dead(DeadReason::MaxAge));
}

#[test]
fn an_empty_table_is_the_default_policy() {
    assert_eq!(read("{}"), RetryPolicy::default());
    assert_eq!(RetryPolicy::default().max_attempts, DEFAULT_ATTEMPTS);
}

#[test]
fn a_table_is_read_field_by_field() {
    let exponential = read(
        r#"{"backoff": "exponential", "base": "2s", "factor": 3, "max": "10m",
            "jitter": "full", "max_attempts": 12, "max_age": "2h"}"#,
    );
    let expected = RetryPolicy {
        backoff: Backoff::Exponential { base: s(2), factor: 3.0, max: s(600) },
        jitter: Jitter::Full,
        max_attempts: 12,
        max_age: Some(s(7_200)),
        rules: BTreeMap::new(),
    };
    assert_eq!(exponential, expected);
    let linear = Backoff::Linear { base: s(2), step: s(2), max: s(600) };
    assert_eq!(read(r#"{"backoff": "linear", "base": "2s"}"#).backoff, linear);
    let list = Backoff::List { delays: vec![s(1), s(60)] };
    assert_eq!(read(r#"{"backoff": "list", "delays": ["1s", "1m"]}"#).backoff, list);
    let long = Backoff::Exponential { base: s(3_600), factor: 2.0, max: s(3_600) };
    assert_eq!(read(r#"{"base": "1h"}"#).backoff, long);
}

#[test]
#[cfg(feature = "config")]
fn the_same_table_is_read_from_toml() {
    let text = r#"retry = { backoff = "exponential", base = "1s", max = "10m", max_attempts = 8 }"#;
    let file: BTreeMap<String, RetryPolicy> = toml::from_str(text).unwrap();
    assert_eq!(file["retry"], RetryPolicy::default());
    let written = toml::to_string(&file).unwrap();
    assert_eq!(toml::from_str::<BTreeMap<String, RetryPolicy>>(&written).unwrap(), file);
}

#[test]
fn a_wrong_table_is_refused_with_the_field_and_the_remedy() {
    for (json, part) in [
        (r#"{"max_atempts": 3}"#, "unknown field `max_atempts`"),
        (r#"{"max_attempts": 0}"#, "`max_attempts` is 0; it must be between 1"),
        (r#"{"max_attempts": 1001}"#, "and 1000"),
        (r#"{"factor": 0.5}"#, "`factor` is 0.5; it must be between 1 and 100"),
        (r#"{"base": "2m", "max": "1m"}"#, "`base` (2m) is longer than `max` (1m)"),
        (r#"{"base": 1}"#, "write 1s for seconds"),
        (r#"{"backoff": "quadratic"}"#, "unknown variant `quadratic`, expected one of"),
        (r#"{"backoff": "fixed"}"#, "a backoff of `fixed` needs `delay`"),
        (r#"{"backoff": "fixed", "delay": "1s", "max": "2s"}"#, "`max` does not belong"),
        (r#"{"step": "1s"}"#, "a backoff of `exponential`, which takes `base`, `factor`, `max`"),
        (r#"{"backoff": "list", "delays": []}"#, "`delays` has 0 entries"),
        (r#"{"rules": {"": "dead"}}"#, "an error class in `rules` has 0 bytes"),
        (r#"{"rules": {"x": "die"}}"#, "unknown variant `die`, expected `dead` or `retry`"),
        (r#"{"rules": {"x": 3}}"#, "expected \"dead\", \"retry\" or a table"),
        (r#"{"rules": {"x": {"bas": "1s"}}}"#, "unknown field `bas`"),
        (r#"{"rules": {"x": {"max_attempts": 0}}}"#, "`max_attempts` is 0"),
        (r#"{"rules": {"x": {"rules": {"y": "dead"}}}}"#, "cannot hold `rules`"),
    ] {
        let message = refused(json);
        assert!(message.contains(part), "{json}: {message}");
    }
}

#[test]
fn too_many_rules_and_delays_are_refused() {
    let delays = vec!["1s"; 101];
    let json = serde_json::json!({"backoff": "list", "delays": delays}).to_string();
    assert!(refused(&json).contains("`delays` has 101 entries"));
    let rules: BTreeMap<String, &str> = (0..65).map(|n| (format!("c{n}"), "dead")).collect();
    let json = serde_json::json!({ "rules": rules }).to_string();
    assert!(refused(&json).contains("`rules` has 65 entries"));
}

fn delay() -> impl Strategy<Value = Duration> {
    (0..crate::duration::LONGEST.as_secs(), 0..1_000_000_000_u32)
        .prop_map(|(seconds, nanoseconds)| Duration::new(seconds, nanoseconds))
}

fn curve() -> impl Strategy<Value = Backoff> {
    let pair = || (delay(), delay()).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        // Quarters: serde_json reads other fractions a rounding error off.
        (pair(), 4..=400_u32).prop_map(|((base, max), quarters)| {
            Backoff::Exponential { base, factor: f64::from(quarters) / 4.0, max }
        }),
        (pair(), delay()).prop_map(|((base, max), step)| Backoff::Linear { base, step, max }),
        delay().prop_map(|delay| Backoff::Fixed { delay }),
        prop::collection::vec(delay(), 1..5).prop_map(|delays| Backoff::List { delays }),
    ]
}

fn jitter() -> impl Strategy<Value = Jitter> {
    prop_oneof![Just(Jitter::Full), Just(Jitter::Equal), Just(Jitter::None)]
}

fn rule() -> impl Strategy<Value = Rule> {
    let attempts = prop::option::of(1..=MAX_ATTEMPTS);
    let special = (
        prop::option::of(curve()),
        prop::option::of(jitter()),
        attempts,
        prop::option::of(delay()),
    );
    let special = special.prop_map(|(backoff, jitter, max_attempts, max_age)| {
        Rule::Override(Override { backoff, jitter, max_attempts, max_age })
    });
    prop_oneof![Just(Rule::Dead), Just(Rule::Retry), special]
}

prop_compose! {
    fn policy()(
        backoff in curve(),
        jitter in jitter(),
        max_attempts in 1..=MAX_ATTEMPTS,
        max_age in prop::option::of(delay()),
        rules in prop::collection::btree_map("[a-c*]", rule(), 0..4),
    ) -> RetryPolicy {
        RetryPolicy { backoff, jitter, max_attempts, max_age, rules }
    }
}

proptest! {
    #[test]
    fn text_and_back_is_the_same_policy(policy in policy()) {
        let json = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<RetryPolicy>(&json).unwrap(), policy);
    }

    #[test]
    fn every_failure_gets_a_verdict_within_the_limits(
        policy in policy(),
        class in "[a-d]",
        attempt: u32,
        age in (any::<u64>(), 0..1_000_000_000_u32).prop_map(|(s, n)| Duration::new(s, n)),
        asked in prop::option::of(delay()),
        draw: f64,
    ) {
        let failure = Failure { class: &class, attempt, age, asked, max_attempts: None };
        if let Verdict::Retry { delay } = policy.after_failure(&failure, draw) {
            prop_assert!(attempt < MAX_ATTEMPTS);
            prop_assert!(asked.is_none_or(|asked| asked == delay));
            let rule = policy.rules.get(&class).or_else(|| policy.rules.get(ANY_CLASS));
            prop_assert_ne!(rule, Some(&Rule::Dead));
            if !matches!(rule, Some(Rule::Override(_))) {
                prop_assert!(policy.max_age.is_none_or(|limit| age.saturating_add(delay) <= limit));
                prop_assert!(asked.is_some() || delay <= policy.backoff.delay(attempt));
            }
        }
    }
}
