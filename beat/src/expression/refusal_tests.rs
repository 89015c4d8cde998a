//! What is refused, with which words; and that whatever comes in is answered.

use std::fmt::Write;

use chrono_tz::Tz;
use proptest::prelude::*;

use super::tests::{read, utc};
use super::*;

fn refused(text: &str) -> String {
    text.parse::<Expression>().expect_err(text).to_string()
}

#[test]
fn a_wrong_expression_names_the_field_the_column_and_the_range() {
    for (text, part) in [
        ("60 * * * *", "minute, column 1: `60` is not within 0-59; write 0-59, `*`, ranges"),
        ("60 * * * *", "did you mean `0`?"),
        ("* 24 * * *", "hour, column 3: `24` is not within 0-23"),
        ("* * 0 * *", "day of month, column 5: `0` is not within 1-31"),
        ("* * 1,5,32 * *", "day of month, column 9: `32` is not within 1-31"),
        ("* * * 13 *", "month, column 7: `13` is not within 1-12"),
        ("* * * * 8", "day of week, column 9: `8` is not within 0-7"),
        ("  *  *   * *  9", "day of week, column 15: `9` is not within 0-7"),
        ("5-1 * * * *", "column 1: the range `5-1` ends before it begins"),
        ("5-1 * * * *", "did you mean `5-59,0-1`?"),
        ("0 0 * * FRI-MON", "did you mean `5-7,0-1`?"),
        ("*/0 * * * *", "minute, column 3: a step of 0; a step is within 1-60"),
        ("*/90 * * * *", "did you mean `every 90m`?"),
        ("0 */36 * * *", "did you mean `every 36h`?"),
        ("*/x * * * *", "column 3: `x` is no step; a step is within 1-60"),
        ("*/ * * * *", "column 3: a step is missing behind `/`"),
        ("1,,2 * * * *", "minute, column 3: a value is missing"),
        ("1, * * * *", "minute, column 3: a value is missing"),
        ("-1 * * * *", "minute, column 1: a value is missing"),
        ("1- * * * *", "minute, column 3: a value is missing"),
        ("0/10 * * * *", "`0/10` is a step without a range; write 0-59"),
        ("0/10 * * * *", "did you mean `0-59/10`?"),
        ("1,* * * * *", "minute, column 3: `*` stands alone, not in a list"),
        ("0 0 * * SUNMON", "day of week, column 9: `SUNMON` means nothing there"),
        ("0 0 * * MONDAY", "did you mean `MON`?"),
        ("0 0 * Sept *", "did you mean `SEP`?"),
        ("0 0 * MON *", "month, column 7: `MON` means nothing there"),
        ("0 0 * * +1", "`+1` means nothing there"),
        ("0 0 * * \u{0663}", "day of week, column 9: `\u{0663}` means nothing there"),
        ("\u{e4} 0 \u{e4} * *", "day of month, column 5: `\u{e4}` means nothing there"),
        ("? * * * *", "minute, column 1: `?` means nothing there"),
        ("0 0 * * 5#6", "day of week, column 11: `6` is not within 1-5"),
        ("0 0 * * 5#", "day of week, column 11: `` is not within 1-5"),
        ("0 0 * * 8#1", "day of week, column 9: `8` is not within 0-7"),
        ("0 0 * * L", "day of week, column 9: a value is missing"),
        ("0 0 L-31 * *", "day of month, column 7: `31` is not within 1-30: days before the last"),
        ("0 0 L-0 * *", "day of month, column 7: `0` is not within 1-30"),
        ("0 0 1-15W * *", "column 5: `1-15W`: W stands behind one day"),
        ("0 0 32W * *", "column 5: `32` is not within 1-31"),
        ("0 0 W * *", "column 5: `W`: W stands behind one day"),
        ("0 0 30 2 *", "day of month, column 5: it is never due"),
        ("0 0 31 4,6,9,11 *", "it is never due"),
        ("0 0 L-30 2,4 *", "it is never due"),
    ] {
        let message = refused(text);
        assert!(message.contains(part), "{text}: {message}");
        assert!(message.starts_with("failed to read the expression `"), "{message}");
    }
}

#[test]
fn a_wrong_expression_of_quartz_says_what_quartz_takes() {
    for (text, part) in [
        ("60 * * * * ?", "second, column 1: `60` is not within 0-59"),
        ("0 0 0 ? * 0", "day of week, column 11: `0` is not within 1-7; write 1-7 (1 is Sunday"),
        ("0 0 0 ? * 0", "did you mean `1`?"),
        ("0 0 0 ? * 8", "`8` is not within 1-7"),
        ("0 0 0 ? * MON,WED#6", "day of week, column 19: `6` is not within 1-5"),
        ("0 0 0 1 1 ? 1969", "year, column 13: `1969` is not within 1970-2099"),
        ("0 0 0 1 1 ? 2030-2027", "did you mean `2027-2030`?"),
        (
            "0 0 0 29 2 ? 2027",
            "day of month, column 7: it is never due: no month that it names has such a day in a year",
        ),
        ("0 0 0 ? 2 2#5 2026", "day of week, column 11: it is never due"),
        ("0 0 0 ? 2 2#5 2026", "no month that it names has such a day in a year that it names"),
        ("0 0 0 * * *", "one of the day fields is `?`"),
        ("0 0 0 * * *", "did you mean `0 0 0 * * ?`?"),
        ("0 0 0 1 * *", "did you mean `0 0 0 1 * ?`?"),
        ("0 0 0 * 6 MON", "did you mean `0 0 0 ? 6 MON`?"),
        ("0 0 0 ? * ?", "both day fields are `?`"),
        ("0 0 0 13 * FRI", "a second schedule for the other (`0 0 0 13 * ?` and `0 0 0 ? * FRI`)"),
    ] {
        let message = refused(text);
        assert!(message.contains(part), "{text}: {message}");
    }
}

#[test]
fn what_is_no_list_of_fields_is_refused_with_what_to_write() {
    for (text, part) in [
        (
            "",
            "column 1: it has 0 fields; write five (minute, hour, day of month, month, day of week",
        ),
        ("* * * *", "it has 4 fields"),
        ("* * * * * * * 8", "column 15: it has 8 fields"),
        ("90s", "did you mean `every 90s`?"),
        ("Daily", "did you mean `@daily`?"),
        ("2027-01-01T09:00", "did you mean `at 2027-01-01T09:00`?"),
        ("@reboot", "there is no such word; there are @hourly, @daily"),
        ("@dialy", "did you mean `@daily`?"),
        ("@every 5m", "did you mean `every 5m`?"),
        ("@daily 5m", "column 8: `5m` means nothing there; a word stands alone"),
        ("every", "interval, column 6: the interval is missing"),
        ("every 90", "interval, column 7: `90`: it has no unit; write 90s for seconds"),
        ("every 0s", "`0s` is not within 1s to 366d"),
        ("every 367d", "`367d` is not within 1s to 366d"),
        ("every 1500ms", "`1500ms` has a part of a second"),
        ("every 1h 30m", "did you mean `every 1h30m`?"),
        ("every 90s fase 15s", "did you mean `every 90s phase 15s`?"),
        ("every 90s phase 95s", "phase, column 17: the phase `95s` is not below the interval"),
        ("every 90s phase 95s", "did you mean `every 90s phase 5s`?"),
        ("every x phase y", "phase, column 15: `y`"),
        ("at", "instant, column 3: the instant is missing"),
        ("at noon", "instant, column 4: `noon` is no instant"),
        ("at 2027-02-30T09:00", "`2027-02-30T09:00` is no instant"),
        ("at 2100-01-01T09:00", "is not within 1970 to 2099"),
        ("at 1969-12-31T23:59:59Z", "is not within 1970 to 2099"),
        ("at 2027-01-01T09:00:60", "is no instant"),
        ("at 2027-01-01 09:00", "did you mean `at 2027-01-01T09:00`?"),
        ("at 2027-01-01T09:00 Europe/Berlni", "did you mean `Europe/Berlin`?"),
        ("at 2027-01-01T09:00 berlin", "did you mean `Europe/Berlin`?"),
        ("at 2027-01-01T09:00 Narnia/Xyzzy", "write an IANA name"),
        ("at 2027-01-01T09:00Z", "is no instant"),
        ("at 2027-01-01T09:00:00Z Europe/Berlin", "leave the offset or the zone out"),
        ("at 2027-01-01T09:00 Europe/Berlin now", "column 35: `now` means nothing there"),
    ] {
        let message = refused(text);
        assert!(message.contains(part), "{text}: {message}");
    }
    assert!(refused(&"0,".repeat(300)).contains("it has 600 bytes; the limit is 512"));
}

#[test]
fn no_other_hour_is_proposed_for_an_abbreviation_or_an_offset() {
    let refused = |zone: &str| zone::read(zone).unwrap_err();
    for zone in ["CEST", "AEST", "BST", "JST", "IST", "PST", "XYZ"] {
        let why = refused(zone);
        assert!(why.contains("abbreviations are no zones"), "{why}");
        assert!(!why.contains("did you mean"), "{why}");
    }
    for zone in ["UTC+1", "GMT+1", "gmt-1", "+01:00", "UTC+05:30"] {
        let why = refused(zone);
        assert!(why.contains("offsets are no zones"), "{why}");
        assert!(!why.contains("did you mean"), "{why}");
    }
    for (zone, meant) in [
        ("New York", "America/New_York"),
        ("america/new york", "America/New_York"),
        ("Rome", "Europe/Rome"),
        ("utc", "UTC"),
        ("America/Port-au-Princ", "America/Port-au-Prince"),
    ] {
        let why = refused(zone);
        assert!(why.ends_with(&format!("did you mean `{meant}`?")), "{why}");
    }
    assert_eq!(zone::read("Etc/GMT+1"), Ok(Tz::Etc__GMTPlus1), "what there is may be written");
}

#[test]
fn no_message_has_a_character_that_a_terminal_would_obey() {
    for text in [
        "\u{1b}[31mfoo",
        "\u{1b}[31m * * * *",
        "0 0 0 \u{1b}[2J \u{7} \u{1b}",
        "@\u{1b}[31m",
        "at \u{1b}[31m",
        "at 2027-01-01T09:00 \u{1b}c",
        "every \u{1b}c",
        "every 1h \u{9b}31m 5m",
        "0 0 * * \u{202e}",
    ] {
        let message = refused(text);
        let is_plain = |c: char| !c.is_control() && c != '\u{202e}';
        assert!(message.chars().all(is_plain), "{message:?}");
        assert!(message.contains("\\u{"), "{message}");
    }
    assert!(zone::read("\u{1b}c").unwrap_err().contains("`\\u{1b}c`"));
    assert!(refused("\u{e4}'\"\\ 0 0 * *").contains("`\u{e4}'\"\\`"), "the rest stays as it is");
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_place() {
    let error = "61 25 0 13 9".parse::<Expression>().unwrap_err();
    let places: Vec<_> = error.problems().iter().map(|one| (one.field, one.column)).collect();
    let fields =
        [Field::Minute, Field::Hour, Field::DayOfMonth, Field::Month, Field::DayOfWeek].map(Some);
    assert_eq!(places, fields.into_iter().zip([1, 4, 7, 9, 12]).collect::<Vec<_>>());
    assert_eq!(error.problems()[4].takes.map(|takes| &takes[..3]), Some("0-7"));
}

#[test]
fn a_long_text_is_answered_with_a_short_message() {
    for text in ["x".repeat(512), "\u{1f407}".repeat(128), format!("at {}", "x".repeat(500))] {
        assert!(refused(&text).len() < 2_000, "{text}");
    }
}

#[test]
fn the_longest_expression_of_all_times_is_read() {
    let list = |last: u32| {
        (0..=last).fold(String::new(), |mut list, value| {
            let _ = write!(list, "{}{value}", if value == 0 { "" } else { "," });
            list
        })
    };
    let text = format!("{} {} {} * * ?", list(59), list(59), list(23));
    assert!(text.len() <= MAX_LENGTH, "{}", text.len());
    let expression = read(&text);
    let after = utc("2026-06-01T00:00:00Z");
    assert_eq!(expression.next(Tz::UTC, after), Some(utc("2026-06-01T00:00:01Z")));
}

/// Texts that look like expressions: pieces of them, thrown together.
fn grammar_like() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "*",
        "?",
        "L",
        "W",
        "#",
        "-",
        "/",
        ",",
        "0",
        "1",
        "7",
        "31",
        "59",
        "60",
        "99",
        "2099",
        "MON",
        "FRI",
        "JAN",
        "L-3",
        "LW",
        "15W",
        "6L",
        "6#3",
        "every",
        "at",
        "@daily",
        "90s",
        "phase",
        "2027-01-01T09:00",
        "Europe/Berlin",
        "Z",
        "+01:00",
        "\u{e4}",
        "\u{212a}",
        "T",
    ]);
    let field = prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat());
    prop::collection::vec(field, 1..9).prop_map(|fields| fields.join(" "))
}

/// Reads a text and, where it is one, asks it something and says it.
fn is_answered(text: &str) {
    match text.parse::<Expression>() {
        Ok(expression) => {
            let after = utc("2026-03-28T20:00:00Z");
            for zone in [Tz::UTC, Tz::Europe__Berlin] {
                let next = expression.next(zone, after);
                assert!(next.is_none_or(|next| next > after), "{text}");
            }
            assert!(!expression.words().is_empty(), "{text}");
        }
        Err(why) => {
            let count = text.chars().count();
            for problem in why.problems() {
                assert!((1..=count + 1).contains(&problem.column), "{text}: {problem}");
            }
            assert!(!why.problems().is_empty(), "{text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn any_text_is_answered(text in "[0-9*/,\\-?LW#@A-Z ]{0,40}|.{0,60}") {
        is_answered(&text);
    }

    #[test]
    fn any_text_that_looks_like_an_expression_is_answered(text in grammar_like()) {
        is_answered(&text);
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        is_answered(&String::from_utf8_lossy(&bytes));
    }
}
