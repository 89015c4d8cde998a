//! What loading promises: layers and origins, every problem at once, no secret in any message.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::form::Form;
use super::keys::{KEYS, Key};
use super::{FILE_NAME, Loaded, Origin, Problem, Problems, Settings, Sources, load};
use crate::name::Class;

/// Sources with a `leveret.toml` of the given text in a folder of their own.
struct Place {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Place {
    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let working_dir = folder.path().to_owned();
        Self { folder, sources: Sources { working_dir, ..Sources::default() } }
    }

    fn file(text: impl AsRef<[u8]>) -> Self {
        let place = Self::empty();
        place.write(FILE_NAME, text);
        place
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, path: &str, value: &str) -> Self {
        self.sources.flags.push((path.to_owned(), value.to_owned()));
        self
    }

    fn loaded(&self) -> Loaded {
        load(&self.sources).unwrap()
    }

    fn problems(&self) -> Problems {
        load(&self.sources).expect_err("it loads")
    }

    fn only_problem(&self) -> Problem {
        let problems = self.problems();
        assert_eq!(problems.iter().count(), 1, "{problems}");
        problems.iter().next().unwrap().clone()
    }
}

/// A value that a key takes and that is not its default, as the environment writes it.
fn other_value(key: &Key) -> String {
    match key.path {
        "broker.url" => "amqp://u:pw@host:5672/main",
        "store.url" => "rediss://u:pw@host:6379/1",
        "celery.results_url" => "redis://u:pw@host:6379/3",
        "gateway.url" => "https://leveret.example:443",
        "worker.heartbeat_ttl" => "40s",
        "beat.lead" => "70ms",
        _ => match key.form {
            Form::Duration { .. } => "3s",
            Form::Size { .. } => "2KiB",
            Form::Integer { .. } => "7",
            Form::Boolean(_) => "false",
            Form::Queues(_) => "mail,files",
            Form::Classes(_) => "low,normal,high,critical",
            Form::Weights(_) => "9,5,3,1",
            Form::Picker(_) => "strict",
            Form::Level(_) => "debug",
            Form::Format(_) => "json",
            Form::Address(_) => "0.0.0.0:9000",
            Form::AddressOrOff(_) => "off",
            Form::Namespace(_) => "blue",
            Form::Folder(_) | Form::File(_) => "/somewhere",
            Form::Secret(_) => "opensesame",
            Form::Database(_) => "postgresql://u:pw@host:5432/app",
            Form::Url { .. } | Form::HttpUrl(_) => panic!("{} has no value above", key.path),
        },
    }
    .to_owned()
}

/// Writes a value as the file does.
fn toml_value(key: &Key, text: &str) -> String {
    match key.form {
        Form::Integer { .. } | Form::Boolean(_) => text.to_owned(),
        Form::Weights(_) => format!("[{text}]"),
        Form::Queues(_) | Form::Classes(_) => {
            format!(
                "[{}]",
                text.split(',').map(|item| format!("{item:?}")).collect::<Vec<_>>().join(",")
            )
        }
        _ => format!("{text:?}"),
    }
}

/// The other URL, without which one alone is refused.
fn partner(key: &Key) -> Option<&'static Key> {
    match key.path {
        "broker.url" => Key::find("store.url"),
        "store.url" => Key::find("broker.url"),
        _ => None,
    }
}

#[test]
fn nothing_configured_is_the_embedded_product() {
    let loaded = Place::empty().loaded();
    assert_eq!(loaded.settings, Settings::default());
    assert!(loaded.rows().iter().all(|row| row.origin == Origin::Default));
    assert_eq!(loaded.rows().len(), KEYS.len());
}

#[test]
fn every_key_can_be_set_by_file_environment_and_flag() {
    for key in KEYS {
        let keys = || [Some(key), partner(key)].into_iter().flatten();
        let text = keys()
            .map(|key| format!("{} = {}\n", key.path, toml_value(key, &other_value(key))))
            .collect::<String>();
        let file = Place::file(format!("# first\n{text}"));
        let variables = keys()
            .fold(Place::empty(), |place, key| place.variable(&key.variable(), &other_value(key)));
        let flags =
            keys().fold(Place::empty(), |place, key| place.flag(key.path, &other_value(key)));

        let mut settings = Vec::new();
        for (place, origin) in [
            (file, "leveret.toml:2".to_owned()),
            (variables, format!("environment {}", key.variable())),
            (flags, format!("flag {}", key.flag())),
        ] {
            let loaded = place.loaded();
            assert_eq!(loaded.origin(key.path).to_string(), origin);
            assert_ne!(loaded.settings, Settings::default(), "{}", key.path);
            let row = loaded.rows().into_iter().find(|row| row.key == key.path).unwrap();
            assert_eq!(row.origin.to_string(), origin);
            if key.form.is_secret() {
                assert!(row.value.unwrap().contains("***"));
            } else {
                assert_eq!(row.value, Some(other_value(key)));
            }
            settings.push(loaded.settings);
        }
        assert!(settings[0] == settings[1] && settings[1] == settings[2], "{}", key.path);
    }
}

#[test]
fn flags_win_over_environment_over_file_over_default() {
    let place = Place::file("worker.slots = 1");
    assert_eq!(place.loaded().settings.worker.slots, 1);
    let place = place.variable("LEVERET_WORKER_SLOTS", "2");
    assert_eq!(place.loaded().settings.worker.slots, 2);
    let place = place.flag("worker.slots", "3");
    let loaded = place.loaded();
    assert_eq!(loaded.settings.worker.slots, 3);
    assert_eq!(loaded.origin("worker.slots"), Origin::Flag("--worker-slots".into()));
}

#[test]
fn a_named_file_replaces_the_usual_one_and_must_exist() {
    let mut place = Place::file("worker.slots = 1");
    place.write("other.toml", "[worker]\nslots = 2");
    place.sources.file = Some("other.toml".into());
    assert_eq!(place.loaded().origin("worker.slots").to_string(), "other.toml:2");
    place.sources.file = Some("missing.toml".into());
    let problem = place.only_problem();
    assert_eq!(problem.subject, "missing.toml");
    assert!(problem.why.contains("failed to read the configuration file"), "{problem}");
}

#[test]
fn every_problem_of_every_source_is_reported_at_once() {
    let place = Place::file(
        "namespace = \"Blue\"\nbroker.publish_window = 5000\nworker.slot = 3\ncolour = \"red\"\n\
         log = \"debug\"\nworker.grace = 30\n[kinds.\"a b\"]\nexec = []\nhttp = \"x\"\nquue = \"x\"\n",
    )
    .variable("LEVERET_BROKER_URL", "http://u:geheim@host")
    .variable("LEVERET_LOG", "debug")
    .variable("LEVERET_WORKER_SLOTS", "")
    .flag("limits.payload", "9MiB")
    .flag("worker.slts", "1");
    let problems = place.problems();
    let shown = problems.to_string();
    let paragraphs = [
        "failed to load the configuration: 16 problems",
        "namespace = \"Blue\" (leveret.toml:1)\n  why:  it must begin with a-z or 0-9\n  \
         mend: write a name of a-z, 0-9, - and _; the default is leveret",
        "broker.publish_window = 5000 (leveret.toml:2)\n  why:  it is more than 1000\n  \
         mend: write a whole number from 1 to 1000; the default is 512",
        "worker.slot (leveret.toml:3)\n  why:  there is no such key\n  mend: did you mean worker.slots?",
        "worker.grace = 30 (leveret.toml:6)\n  why:  it has no unit; write 30s for seconds, 30ms for \
         milliseconds or 30m for minutes\n  mend: write a duration from 0s to 1d; the default is 25s",
        "colour (leveret.toml:4)\n  why:  there is no such key\n  \
         mend: remove it; `leveret config show` lists every key",
        "log (leveret.toml:5)\n  why:  it is a table of keys, not a value\n  \
         mend: write [log] on a line of its own, and its keys below",
        "LEVERET_LOG\n  why:  no key has this variable\n  mend: did you mean LEVERET_LOG_LEVEL?",
        "LEVERET_WORKER_SLOTS\n  why:  it is empty\n  \
         mend: unset it, or write a whole number from 1 to 4096; the default is 16",
        "worker.slts (flag worker.slts)\n  why:  there is no such key\n  mend: did you mean worker.slots?",
        "broker.url = *** (environment LEVERET_BROKER_URL)\n  \
         why:  it does not begin with amqp:// or amqps://\n  \
         mend: write a URL such as amqp://user:password@host:5672/vhost, or leave it out",
        "limits.payload = \"9MiB\" (flag --limits-payload)\n  why:  it is more than 8MiB\n  \
         mend: write a size from 1B to 8MiB; the default is 1MiB",
        "kinds.\"a b\".exec = [] (leveret.toml:8)\n  why:  the list is empty",
        "kinds.\"a b\".http = *** (leveret.toml:9)\n  \
         why:  it does not begin with http:// or https://\n  \
         mend: write a URL, http://… or https://…, without user and password",
        "kinds.\"a b\" (leveret.toml:7)\n  why:  it has both `exec` and `http`, and one performs it\n  \
         mend: write exec = [\"program\", \"argument\"], or http = \"https://host/path\"",
        "kinds.\"a b\".quue (leveret.toml:10)\n  why:  a kind has no such key\n  mend: did you mean queue?",
        "kinds.\"a b\" (leveret.toml:7)\n  why:  ' ' is not allowed",
    ];
    for paragraph in paragraphs {
        assert!(shown.contains(paragraph), "missing: {paragraph}\n---\n{shown}");
    }
    assert_eq!(problems.iter().count(), paragraphs.len() - 1, "{shown}");
    assert!(!shown.contains("geheim"), "{shown}");
}

#[test]
fn syntax_errors_name_their_lines_and_hide_no_other_source() {
    let place = Place::file("[worker]\nslots = \nclasses = [\n")
        .variable("LEVERET_STORE_URL", "redis://host")
        .variable("LEVERET_WORKER_GRACE", "-1s");
    let problems = place.problems();
    let shown = problems.to_string();
    assert!(shown.contains("leveret.toml:2\n  why:  failed to parse the file as TOML"), "{shown}");
    assert!(shown.contains("worker.grace = \"-1s\""), "{shown}");
    assert!(!shown.contains("broker.url"), "half a file accuses nobody: {shown}");
}

#[test]
fn files_that_cannot_be_text_are_refused() {
    for (bytes, why) in [(vec![0xff, 0xfe], "UTF-8"), (vec![b'#'; (1 << 20) + 1], "larger than")] {
        let problem = Place::file(bytes).only_problem();
        assert!(problem.why.contains(why), "{problem}");
    }
    let place = Place::empty();
    std::fs::create_dir(place.folder.path().join(FILE_NAME)).unwrap();
    assert!(place.only_problem().why.contains("failed to read"));
}

#[test]
fn a_quoted_dotted_name_is_not_the_key_of_a_table() {
    let problem = Place::file("\"worker.slots\" = 3").only_problem();
    assert_eq!(problem.subject, "\"worker.slots\"");
    assert_eq!(problem.mend, "did you mean worker.slots?");
}

#[test]
fn a_secret_is_read_from_a_file_and_never_shown() {
    let place = Place::empty()
        .variable("LEVERET_BROKER_URL_FILE", "broker-url")
        .variable("LEVERET_STORE_URL", "redis://:geheim@host")
        .variable("LEVERET_GATEWAY_TOKEN", "geheim")
        .variable("LEVERET_GATEWAY_TOKEN_FILE", "/etc/tokens");
    place.write("broker-url", "amqp://leveret:geheim@host\n");
    let loaded = place.loaded();
    let url = loaded.settings.broker.url.clone().unwrap();
    assert_eq!(url.expose(), "amqp://leveret:geheim@host");
    assert_eq!(loaded.origin("broker.url").to_string(), "environment LEVERET_BROKER_URL_FILE");
    assert_eq!(loaded.settings.gateway.token_file.as_deref(), Some(Path::new("/etc/tokens")));
    assert_eq!(loaded.settings.gateway.token.as_ref().unwrap().expose(), "geheim");
    let row = loaded.rows().into_iter().find(|row| row.key == "broker.url").unwrap();
    assert_eq!(row.value.as_deref(), Some("amqp://leveret:***@host"));
    assert!(!format!("{loaded:?} {:?}", loaded.rows()).contains("geheim"));
}

#[test]
fn a_secret_file_that_is_wrong_is_explained_without_its_content() {
    let place = Place::empty().variable("LEVERET_BROKER_URL_FILE", "secret");
    let problem = place.only_problem();
    assert!(problem.why.contains("failed to read the secret"), "{problem}");
    place.write("secret", "geheim");
    let problem = place.only_problem();
    assert_eq!(problem.subject, "broker.url");
    assert!(!problem.to_string().contains("geheim"), "{problem}");
    let problems = place.variable("LEVERET_BROKER_URL", "amqp://host").problems().to_string();
    assert!(problems.contains("LEVERET_BROKER_URL is set as well"), "{problems}");
}

#[test]
fn variables_of_tests_of_others_and_of_kubernetes_services_are_left_alone() {
    let place = Place::empty()
        .variable("LEVERET_TEST_BLESS", "1")
        .variable("PATH", "/bin")
        .variable("LEVERET_SERVICE_HOST", "10.0.0.1")
        .variable("LEVERET_SERVICE_PORT_HTTP", "7878")
        .variable("LEVERET_GATEWAY_PORT", "tcp://10.0.0.1:7878")
        .variable("LEVERET_GATEWAY_PORT_7878_TCP_ADDR", "10.0.0.1");
    assert_eq!(place.loaded().settings, Settings::default());
    let problem = place.variable("LEVERET_PORT", "7878").only_problem();
    assert_eq!(problem.subject, "LEVERET_PORT");
}

#[test]
fn bytes_that_are_not_text_are_refused_in_a_variable() {
    let problem = Place::empty().variable("LEVERET_DATA", "a\u{fffd}").only_problem();
    assert_eq!(problem.why, "it holds bytes that are not UTF-8");
}

#[test]
fn broker_and_store_are_both_servers_or_both_embedded() {
    for (variable, value, missing) in [
        ("LEVERET_BROKER_URL", "amqp://host", "store.url"),
        ("LEVERET_STORE_URL", "redis://host", "broker.url"),
    ] {
        let problem = Place::empty().variable(variable, value).only_problem();
        assert_eq!(problem.subject, missing);
        assert!(problem.why.contains(&format!("environment {variable}")), "{problem}");
    }
    // A URL that is there but wrong is one problem, not two.
    let place = Place::empty()
        .variable("LEVERET_BROKER_URL", "amqp://")
        .variable("LEVERET_STORE_URL", "redis://host");
    assert_eq!(place.only_problem().subject, "broker.url");
}

#[test]
fn a_ttl_spans_three_heartbeats() {
    let problem = Place::file("worker.heartbeat = \"6s\"").only_problem();
    assert_eq!(
        problem.to_string(),
        "worker.heartbeat_ttl = 15s (default)\n  why:  it is less than 3 × worker.heartbeat, which \
         is 6s (leveret.toml:1); one late heartbeat would cost a worker its claims\n  \
         mend: write at least 18s, or a shorter worker.heartbeat"
    );
    Place::file("worker.heartbeat = \"6s\"\nworker.heartbeat_ttl = \"18s\"").loaded();
}

#[test]
fn a_worker_serves_the_queues_of_its_kinds_unless_it_is_told_which() {
    let kinds = "[kinds.a]\nexec = [\"a\"]\nqueue = \"files\"\n[kinds.b]\nexec = [\"b\"]\n";
    let names = |loaded: &Loaded| -> Vec<String> {
        loaded.settings.worker.queues.iter().map(ToString::to_string).collect()
    };
    let place = Place::file(kinds);
    let loaded = place.loaded();
    assert_eq!(names(&loaded), ["default", "files"]);
    assert_eq!(loaded.origin("worker.queues").to_string(), "derived from kinds");
    let loaded = place.variable("LEVERET_WORKER_QUEUES", "mail").loaded();
    assert_eq!(names(&loaded), ["mail"]);
}

#[test]
fn weights_follow_classes_unless_they_are_given() {
    let place = Place::file("worker.classes = [\"normal\", \"high\"]");
    let loaded = place.loaded();
    assert_eq!(loaded.settings.worker.classes, [Class::Normal, Class::High]);
    assert_eq!(loaded.settings.worker.weights, [2, 4]);
    assert_eq!(loaded.origin("worker.weights").to_string(), "derived from worker.classes");
    let problem = place.variable("LEVERET_WORKER_WEIGHTS", "1,2,3").only_problem();
    assert_eq!(problem.subject, "worker.weights");
    assert_eq!(problem.value.as_deref(), Some("[1, 2, 3]"));
}

#[test]
fn operator_commands_find_the_gateway_where_it_listens() {
    for (listen, url) in [
        ("0.0.0.0:80", "http://127.0.0.1:80"),
        ("[::]:80", "http://[::1]:80"),
        ("10.1.2.3:80", "http://10.1.2.3:80"),
    ] {
        let loaded = Place::empty().flag("gateway.listen", listen).loaded();
        assert_eq!(loaded.settings.gateway.url, url);
        assert_eq!(loaded.origin("gateway.url").to_string(), "derived from gateway.listen");
    }
    let loaded = Place::empty()
        .flag("gateway.listen", "0.0.0.0:80")
        .flag("gateway.url", "https://leveret.example/")
        .loaded();
    assert_eq!(loaded.settings.gateway.url, "https://leveret.example");
    for (url, why) in [
        ("http://u:geheim@host", "user or password"),
        ("http://host/v1", "path"),
        ("host", "http://"),
    ] {
        let problem = Place::empty().flag("gateway.url", url).only_problem();
        assert!(problem.why.contains(why), "{problem}");
    }
}

#[test]
fn lists_are_checked_item_by_item() {
    for (text, why) in [
        ("worker.queues = []", "the list is empty"),
        ("worker.queues = \"mail\"", "not a list in brackets"),
        ("worker.queues = [\"mail\", \"mail\"]", "item 2 stands there twice"),
        (
            "worker.queues = [\"A\", \"b\", 3]",
            "in item 1 (\"A\"): it must begin with a-z or 0-9; in item 3 (3): it is a whole number",
        ),
        ("worker.weights = [0, 1, 1, 1]", "in item 1 (0): it is less than 1"),
        ("worker.classes = [\"urgent\"]", "in item 1 (\"urgent\")"),
    ] {
        let problem = Place::file(text).only_problem();
        assert!(problem.why.contains(why), "{problem}");
    }
}

#[test]
fn a_kind_is_bound_with_all_its_keys() {
    let loaded = Place::file(
        "[kinds.\"text.words\"]\nexec = [\"wc\", \"-w\"]\nqueue = \"files\"\nclass = \"low\"\n\
         timeout = \"20s\"\nretry = { backoff = \"fixed\", delay = \"2s\", rules = { boom = \"dead\" } }\n\
         [kinds.plain]\nexec = [\"true\"]\n",
    )
    .loaded();
    let kind = &loaded.settings.kinds[&"text.words".parse().unwrap()];
    assert_eq!(kind.exec, ["wc", "-w"]);
    assert_eq!(kind.queue.as_ref().unwrap().as_str(), "files");
    assert_eq!(kind.class, Some(Class::Low));
    assert_eq!(kind.timeout, Some(Duration::from_secs(20)));
    assert_eq!(kind.retry.backoff.delay(3), Duration::from_secs(2));
    assert_eq!(kind.retry.rules.len(), 1);
    let row = loaded.rows().into_iter().find(|row| row.key.ends_with("exec")).unwrap();
    assert_eq!(row.key, "kinds.\"text.words\".exec");
    assert_eq!(row.value.as_deref(), Some("[\"wc\", \"-w\"]"));
    assert_eq!(row.origin.to_string(), "leveret.toml:2");
}

#[test]
fn a_wrong_kind_says_what_is_wrong() {
    for (text, subject, part) in [
        ("kinds = 5", "kinds", "a table of kinds"),
        ("kinds.a = 5", "kinds.a", "a table of a kind's keys"),
        ("kinds.a.queue = \"q\"", "kinds.a", "neither `exec` nor `http`"),
        ("kinds.a.exec = [\"\"]", "kinds.a.exec", "program's name is empty"),
        ("kinds.a.exec = \"wc\"", "kinds.a.exec", "not a list"),
        ("[kinds.text.words]\nexec = [\"wc\"]", "kinds.text.words", "the name in quotes"),
        ("[kinds.a]\nexec = [\"wc\"]\ntimeout = 5", "kinds.a.timeout", "no unit"),
        ("[kinds.a]\nexec = [\"wc\"]\nretry = 5", "kinds.a.retry", "not a table"),
        ("[kinds.a]\nexec = [\"wc\"]\nretry.base = 5", "kinds.a.retry", "no unit"),
        ("[kinds.a]\nexec = [\"wc\"]\nretry.bas = \"5s\"", "kinds.a.retry", "unknown field `bas`"),
        ("[kinds.a]\nexec = [\"wc\"]\nretry.backoff = \"list\"", "kinds.a.retry", "needs `delays`"),
    ] {
        let problem = Place::file(text).only_problem();
        assert_eq!(problem.subject, subject, "{problem}");
        assert!(problem.to_string().contains(part), "{problem}");
    }
}

/// Text that is sometimes TOML, sometimes nearly, sometimes not at all.
fn junk_toml() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        proptest::sample::select(KEYS).prop_map(|key| key.path.to_owned()),
        "[a-z.]{1,12}",
        Just("kinds.a.exec".to_owned()),
        Just("kinds.a.retry.base".to_owned()),
    ];
    let value = prop_oneof![
        "[0-9]{1,40}",
        "\"[ -~]{0,12}\"",
        "\\[[0-9,\" a]{0,12}\\]",
        "(nan|inf|-inf|1e400|0xff|1979-05-27)",
        "\\{ *[a-z]{1,4} = [0-9] *\\}",
        ".*",
    ];
    let line = (name, value).prop_map(|(name, value)| format!("{name} = {value}"));
    let line = prop_oneof![6 => line, 1 => "\\[[a-z.\"]{1,12}\\]", 1 => ".*"];
    proptest::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n"))
}

fn junk_environment() -> impl Strategy<Value = BTreeMap<String, String>> {
    let name = prop_oneof![
        proptest::sample::select(KEYS).prop_map(|key| key.variable()),
        proptest::sample::select(KEYS).prop_map(|key| key.variable() + "_FILE"),
        "LEVERET_[A-Z_0-9]{0,12}",
    ];
    proptest::collection::btree_map(name, "[0-9]{1,30}[a-zA-Z]{0,3}|.*", 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn junk_is_answered_and_never_panics(
        text in junk_toml(),
        environment in junk_environment(),
        flag in (".*", ".*"),
    ) {
        let mut place = Place::file(text);
        place.sources.environment = environment;
        place.sources.flags.push(flag);
        // The flag is nobody's key, so it never loads.
        for problem in &place.problems() {
            prop_assert!(!problem.why.is_empty() && !problem.mend.is_empty());
        }
    }

    #[test]
    fn two_wrong_values_are_two_problems(
        keys in proptest::sample::subsequence(KEYS, 2..=KEYS.len()),
        by_variable: bool,
    ) {
        // No form takes a NUL inside text; a token or an URL takes no control character at all.
        let place = keys.iter().fold(Place::empty(), |place, key| {
            if by_variable { place.variable(&key.variable(), "\0") } else { place.flag(key.path, "\0") }
        });
        let problems = place.problems();
        let subjects = problems.iter().map(|problem| problem.subject.as_str()).collect::<Vec<_>>();
        let mut expected = keys.iter().map(|key| key.path).collect::<Vec<_>>();
        if by_variable {
            expected.sort_by_key(|path| Key::find(path).map(Key::variable));
        }
        prop_assert_eq!(subjects, expected);
    }
}
