//! Texts: timetable files, lines, and what is written back.

use leveret_beat::definition::{Line, Wanted, Written, read};
use leveret_common::clock::Millis;
use leveret_common::duration;
use leveret_common::schedule::{Definition, Misfire, MisfirePolicy, Overlap};
use leveret_common::store::ScheduleEntry;
use proptest::prelude::*;

use crate::world::{NOON, named, program, says};

fn flaws(text: &str) -> Vec<String> {
    Wanted::from_toml(text).flaws.iter().map(ToString::to_string).collect()
}

fn only(wanted: &Wanted) -> &Definition {
    assert_eq!(wanted.flaws, []);
    assert_eq!(wanted.schedules.len(), 1);
    wanted.schedules.values().next().unwrap()
}

#[test]
fn a_file_is_read_with_its_calendars() {
    let wanted = Wanted::from_toml(
        r#"
        [calendars.holidays]
        days = ["2027-12-24..2027-12-31", "12-25", 2027-05-01]

        [schedules."report.nightly"]
        when = "0 2 * * *"
        zone = "Europe/Berlin"
        kind = "report.build"
        args = { month = 7, parts = [1.5, "b", true], since = 2027-01-01T00:00:00Z }
        start = 2027-01-01T00:00:00+01:00
        misfire = { policy = "all", max = 3 }
        exclude = ["holidays", "sat", "12-25", 2027-06-01]
        "#,
    );
    let read = only(&wanted);
    assert_eq!(wanted.schedules.keys().next().unwrap().as_str(), "report.nightly");
    assert_eq!(
        read.args.get(),
        r#"{"month":7,"parts":[1.5,"b",true],"since":"2027-01-01T00:00:00Z"}"#
    );
    assert_eq!(read.start, Some(Millis(1_798_758_000_000)));
    assert_eq!(
        read.exclude,
        ["2027-12-24..2027-12-31", "12-25", "2027-05-01", "sat", "2027-06-01"]
    );
    assert_eq!((read.misfire.policy, read.misfire.max), (MisfirePolicy::All, 3));
    assert_eq!(read.misfire.after, Misfire::AFTER);
}

#[test]
fn everything_that_is_wrong_with_a_file_is_told_at_once() {
    let found = flaws(
        r#"
        title = "x"
        calender = 7

        [calendars.holidays]
        days = ["2027-13-01"]
        dys = []
        [calendars.sat]
        days = ["sat"]
        [calendars.empty]

        [schedules.a]
        when = "@daily"
        kind = "demo.echo"
        exclude = ["holiday", "holidays"]
        args = { x = nan }

        [schedules.report.nightly]
        when = "@daily"
        kind = "demo.echo"

        [schedules]
        b = "@daily"

        [schedules."B a"]
        when = "@daily"
        kind = "demo.echo"
        start = 2027-01-01T00:00:00
        "#,
    );
    let has = |text: &str| assert!(found.iter().any(|line| line.starts_with(text)), "{found:#?}");
    has("file: title: there is no table \"title\"; there are schedules, calendars");
    has("file: calender: there is no table \"calender\"; did you mean \"calendars\"?");
    has("calendars.holidays: days: `2027-13-01` is no day");
    has("calendars.holidays: dys: there is no field \"dys\"; did you mean \"days\"?");
    has("calendars.sat: name: a day of the week is called so");
    has("calendars.empty: days: it is missing; write a list of days");
    has("a: args: JSON has no number NaN");
    has("report: name: a name with dots is written in quotes: [schedules.\"report.nightly\"]");
    has("file: schedules.b: it is no table; write [schedules.\"b\"]");
    has("B a: name: schedule \"B a\" is not valid");
    has("B a: start: it is not an instant; write RFC 3339 with an offset");
    has(
        "a: exclude: there is no calendar or day of the week \"holiday\"; did you mean \"holidays\"?",
    );
    assert_eq!(found.len(), 12, "{found:#?}");
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    let found = flaws("[schedules.a]\nwhen = \n");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("file: line 2, column 8: "), "{found:?}");
    assert!(flaws("schedules = 7")[0].starts_with("file: schedules: it is no table"));
    assert_eq!(Wanted::from_toml(""), Wanted::default());
}

#[test]
fn lines_are_read_in_both_forms_and_tell_where_they_are_wrong() {
    let wanted = Wanted::from_lines(concat!(
        "{\"name\":\"a\",\"when\":\"@daily\",\"kind\":\"k\"}\n",
        "\n",
        "{\"name\":\"b\",\"source\":{\"from\":\"file\",\"path\":\"x\"},\"paused\":true,",
        "\"definition\":{\"when\":\"@daily\",\"kind\":\"k\"}}\r\n",
    ));
    assert_eq!(wanted.flaws, []);
    let names: Vec<_> = wanted.schedules.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(wanted.paused.iter().collect::<Vec<_>>(), [&named("b")]);
    let wanted = Wanted::from_lines(concat!(
        "{\"name\":\"a\",\"when\":\"@daily\",\"kind\":\"k\"}\n",
        "{\"name\":\"a\",\"when\":\"@daily\",\"kind\":\"k\"}\n",
        "{\"name\":\"b\",\"paused\":1,\"definition\":{\"wen\":\"@daily\",\"kind\":\"k\"},\"x\":1}\n",
        "nonsense\n",
    ));
    let found: Vec<_> = wanted.flaws.iter().map(ToString::to_string).collect();
    let has = |text: &str| assert!(found.iter().any(|line| line.starts_with(text)), "{found:#?}");
    has("line 2: name: a line before has a schedule called a too; keep one of them");
    has("line 3: paused: it is a number; write true or false");
    has("line 3: wen: there is no field \"wen\"; did you mean \"when\"?");
    has("line 3: when: it is missing");
    has("line 3: x: there is no field \"x\"");
    has("line 4: schedule: it is not one JSON object");
    assert_eq!(found.len(), 6, "{found:#?}");
}

#[test]
fn instants_are_written_in_rfc_3339_and_defaults_not_at_all() {
    let mut definition = says("@daily");
    definition.start = Some(NOON);
    definition.end = Some(Millis(NOON.0 + 1));
    definition.misfire = Misfire { policy: MisfirePolicy::Skip, ..Misfire::default() };
    let written = serde_json::to_string(&Written::new(&definition)).unwrap();
    assert_eq!(
        written,
        r#"{"when":"@daily","kind":"demo.echo","start":"2027-01-01T12:00:00Z","end":"2027-01-01T12:00:00.001Z","misfire":"skip"}"#
    );
}

fn instants() -> impl Strategy<Value = Option<Millis>> {
    proptest::option::of((0..4_102_444_800_000_u64).prop_map(Millis))
}

fn spans() -> impl Strategy<Value = Option<std::time::Duration>> {
    let texts = vec!["1ms", "30s", "90m", "36h", "400d", "1500ms"];
    let span = proptest::sample::select(texts).prop_map(|text| duration::parse(text).unwrap());
    proptest::option::of(span)
}

prop_compose! {
    /// Any form, whether it means something or not.
    fn definitions()(
        texts in (".{0,20}", proptest::option::of(".{0,20}"), proptest::option::of(".{0,20}")),
        args in proptest::option::of("[a-z\" \\\\]{0,9}"),
        spans in (spans(), spans(), spans()),
        instants in (instants(), instants()),
        attempts in proptest::option::of(any::<u32>()),
        tags in proptest::collection::btree_map(".{0,9}", ".{0,9}", 0..3),
        exclude in proptest::collection::vec(".{0,9}", 0..3),
        misfire in (0..3_u8, spans(), 0..9_u32),
        overlap in 0..4_u8,
    ) -> Definition {
        let usual = Misfire::default();
        let policy = [MisfirePolicy::Skip, MisfirePolicy::Latest, MisfirePolicy::All];
        let overlaps = [Overlap::Allow, Overlap::Skip, Overlap::Queue, Overlap::Cancel];
        let mut definition = says(&texts.0);
        (definition.zone, definition.description) = (texts.1, texts.2);
        if let Some(args) = args {
            definition.args = serde_json::value::to_raw_value(&[args]).unwrap();
        }
        (definition.expires, definition.timeout, definition.jitter) = spans;
        (definition.start, definition.end) = instants;
        definition.max_attempts = attempts;
        definition.tags = tags;
        definition.exclude = exclude;
        definition.misfire = Misfire {
            policy: policy[usize::from(misfire.0)],
            after: misfire.1.unwrap_or(usual.after),
            window: usual.window,
            max: misfire.2 + 1,
        };
        definition.overlap = overlaps[usize::from(overlap)];
        definition
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(definition in definitions()) {
        let written = serde_json::to_vec(&Written::new(&definition)).unwrap();
        prop_assert_eq!(read(&written), Ok(definition.clone()));
        let entry = ScheduleEntry {
            name: named("a"),
            definition: definition.clone(),
            source: program("p"),
            revision: 3,
            since: NOON,
            paused: None,
            created_at: NOON,
            changed_at: NOON,
        };
        let line = Line::new(&entry).to_string();
        prop_assert!(!line.contains('\n'));
        let wanted = Wanted::from_lines(&line);
        prop_assert_eq!(only(&wanted), &definition);
        // The store's own form keeps it as well.
        let stored = serde_json::to_string(&entry).unwrap();
        prop_assert_eq!(serde_json::from_str::<ScheduleEntry>(&stored).unwrap(), entry);
    }

    #[test]
    fn no_text_is_too_strange_to_be_answered(text in ".{0,200}") {
        let _ = read(text.as_bytes());
        let _ = Wanted::from_toml(&text);
        let _ = Wanted::from_lines(&text);
    }
}
