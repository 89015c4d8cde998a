//! What needs no server: expressions are explained, timetable files checked.

use crate::home::Home;

const BERLIN: [&str; 8] =
    ["schedule", "explain", "30 2 * * *", "--zone", "Europe/Berlin", "--from", "2027-03-27", "-n3"];

#[test]
fn an_expression_is_explained_in_words_and_by_its_next_times_in_both_clocks() {
    let home = Home::new();
    let left = home.run(&BERLIN);
    assert_eq!(
        left.succeeds().stdout,
        "when   30 2 * * *\n\
         words  at 02:30 each day, in Europe/Berlin\n\
         zone   Europe/Berlin\n\
         \n\
         DUE                             UTC                   CLOCKS\n\
         Sat 2027-03-27 02:30:00 +01:00  2027-03-27T01:30:00Z  -\n\
         Sun 2027-03-28 03:00:00 +02:00  2027-03-28T01:00:00Z  02:00 becomes 03:00\n\
         Mon 2027-03-29 02:30:00 +02:00  2027-03-29T00:30:00Z  -\n"
    );
    assert_eq!(left.stderr, "");
}

#[test]
fn an_explanation_is_one_document_for_programs_or_a_line_for_each_time() {
    let home = Home::new();
    let whole = home.run(&[&BERLIN[..], &["-o", "json"]].concat()).succeeds().json();
    let next = serde_json::json!([
        { "due": "2027-03-27T01:30:00.000Z", "local": "2027-03-27T02:30:00.000+01:00" },
        {
            "due": "2027-03-28T01:00:00.000Z", "local": "2027-03-28T03:00:00.000+02:00",
            "clock_change": { "at": "2027-03-28T01:00:00.000Z", "by": "1h" },
        },
        { "due": "2027-03-29T00:30:00.000Z", "local": "2027-03-29T02:30:00.000+02:00" },
    ]);
    let said = serde_json::json!({
        "when": "30 2 * * *", "words": "at 02:30 each day, in Europe/Berlin",
        "zone": "Europe/Berlin", "next": next,
    });
    assert_eq!(whole, said);
    let lines = home.run(&[&BERLIN[..], &["-o", "jsonl"]].concat()).succeeds().lines();
    assert_eq!(serde_json::Value::from(lines), next);
}

#[test]
fn an_expression_in_utc_that_needs_no_quotes_is_taken_word_by_word() {
    let home = Home::new();
    let left =
        home.run(&["schedule", "explain", "every", "90s", "--from", "2027-01-01", "-n", "2"]);
    let table = "\nUTC\n2027-01-01T00:00:00Z\n2027-01-01T00:01:30Z\n";
    assert!(left.succeeds().stdout.ends_with(table), "{}", left.stdout);
    let left = home.run(&["schedule", "explain", "at", "2017-01-01T09:00"]);
    assert!(left.succeeds().stderr.contains("nothing is due after"), "{left:?}");
}

#[test]
fn a_wrong_expression_is_told_with_field_column_and_range_and_so_is_all_else_that_is_wrong() {
    let home = Home::new();
    let left = home.run(&["schedule", "explain", "30 25 * * *", "--zone", "Europe/Berln"]);
    left.fails(7, &["2 problems", "hour", "column 4", "0-23", "did you mean `Europe/Berlin`?"]);
    let left = home.run(&["schedule", "explain", "@daily", "--from", "tomorrow"]);
    left.fails(2, &["--from", "it is no time", "2027-03-28"]);
    home.run(&["schedule", "explain"]).fails(2, &["EXPR"]);
}

#[test]
fn an_expression_is_explained_beside_a_configuration_that_is_wrong() {
    let home = Home::with("colour = \"red\"");
    home.run(&BERLIN).succeeds();
    home.run(&["schedule", "list"]).fails(3, &["colour"]);
}

#[test]
fn a_timetable_file_is_checked_without_any_server() {
    let home = Home::new();
    home.write(
        "schedules.toml",
        "[calendars.holidays]\ndays = [\"12-25\"]\n[schedules.\"report.nightly\"]\n\
         when = \"30 2 * * *\"\nkind = \"report.build\"\nexclude = [\"holidays\"]\n",
    );
    let plan = ["schedule", "plan", "schedules.toml", "--offline"];
    let left = home.run(&plan);
    assert!(left.succeeds().stdout.starts_with("SCHEDULE"), "{left:?}");
    assert!(left.stdout.contains("at 02:30 each day, but not on"), "{left:?}");
    let lines = home.run(&[&plan[..], &["-o", "jsonl"]].concat()).succeeds().lines();
    assert_eq!(lines[0]["kind"], "report.build");

    home.write(
        "schedules.toml",
        "[schedules.a]\nwhen = \"0 24 * * *\"\nkind = \"x\"\n\
         [schedules.b]\nwhen = \"@daily\"\nkidn = \"x\"\nzone = \"Mars/Phobos\"\n",
    );
    let told = ["schedules.toml: 4 problems", "a: when:", "b: zone:", "did you mean \"kind\"?"];
    home.run(&plan).fails(3, &told);
    home.run(&["schedule", "plan", "none.toml", "--offline"]).fails(2, &["none.toml"]);
}

#[test]
fn a_timetable_file_that_is_wrong_starts_nothing() {
    let home = Home::new();
    home.write("schedules.toml", "[schedules.a]\nwhen = \"0 24 * * *\"\nkind = \"x\"\n");
    let dev = ["dev", "--listen", "127.0.0.1:0"];
    home.run(&dev).fails(3, &["schedules.toml", "a: when", "hour", "0-23"]);
    home.write("schedules.toml", "");
    let missing = [&dev[..], &["--beat-file", "other.toml"]].concat();
    home.run(&missing).fails(2, &["timetable file other.toml"]);
}
