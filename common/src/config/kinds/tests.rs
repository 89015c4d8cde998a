//! What a kind's table promises: one performer, secrets that are never shown, mends that work.

use super::super::{FILE_NAME, Loaded, Problems, load};
use super::*;

struct Place {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Place {
    /// A folder with a file of one kind, `a`, of these keys.
    fn kind(keys: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), format!("[kinds.a]\n{keys}")).unwrap();
        let working_dir = folder.path().to_owned();
        Self { folder, sources: Sources { working_dir, ..Sources::default() } }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn loaded(&self) -> Loaded {
        load(&self.sources).unwrap()
    }

    fn problems(&self) -> Problems {
        load(&self.sources).expect_err("it loads")
    }

    fn only_kind(&self) -> KindSettings {
        self.loaded().settings.kinds.into_values().next().unwrap()
    }

    fn opened(&self) -> Result<Opened, Problems> {
        open(&self.loaded().settings.kinds).map(|all| all.into_values().next().unwrap())
    }
}

/// Returns what is wrong with a kind of these keys, which is one thing.
fn problem(keys: &str) -> Problem {
    let problems = Place::kind(keys).problems();
    assert_eq!(problems.iter().count(), 1, "{problems}");
    problems.iter().next().unwrap().clone()
}

#[test]
fn the_documented_defaults_are_those_of_the_code() {
    for key in KIND_KEYS.iter().filter(|key| key.name == "retry") {
        let text = format!("retry = {}", key.default.unwrap());
        let table: toml::Table = toml::from_str(&text).unwrap();
        let policy: RetryPolicy = table["retry"].clone().try_into().unwrap();
        assert_eq!(policy, RetryPolicy::default());
    }
    assert_eq!(QueueName::default().as_str(), "default");
    assert_eq!(Class::default().as_str(), "normal");
}

#[test]
fn a_kind_of_http_is_bound_with_all_its_keys() {
    let place = Place::kind(
        "http = \"https://hooks.example/paid?of=shop\"\n\
         headers = { Authorization = { file = \"auth\" }, x-shop = \"seven\" }\n\
         secret = [{ env = \"NEW_SECRET\" }, \"sixteen-letters-\"]\n\
         allow = [\"10.0.0.0/8\", \"hooks.example\"]\n",
    )
    .variable("NEW_SECRET", "another-sixteen!");
    std::fs::write(place.folder.path().join("auth"), "Bearer geheim\n").unwrap();
    let kind = place.only_kind();
    assert_eq!(kind.http.unwrap().expose(), "https://hooks.example/paid?of=shop");
    assert_eq!(kind.allow.len(), 2);
    let opened = place.opened().unwrap();
    assert_eq!(opened.headers["authorization"], "Bearer geheim");
    assert_eq!(opened.headers["x-shop"], "seven");
    assert_eq!(opened.secrets, ["another-sixteen!", "sixteen-letters-"]);
}

#[test]
fn a_programs_environment_and_folder_are_bound() {
    let place = Place::kind(
        "exec = [\"a\"]\ncwd = \"work\"\nenv_pass = [\"LANG\", \"NOT_SET\"]\n\
         env = { MODE = \"fast\", TOKEN = { env = \"THE_TOKEN\" } }\n",
    )
    .variable("LANG", "C.UTF-8")
    .variable("THE_TOKEN", "geheim");
    assert_eq!(place.only_kind().cwd, Some(place.folder.path().join("work")));
    let env = place.opened().unwrap().env;
    let expected = [("LANG", "C.UTF-8"), ("MODE", "fast"), ("TOKEN", "geheim")];
    assert_eq!(env, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn a_kind_is_performed_by_a_program_or_a_url_and_not_by_both() {
    let told = problem("queue = \"mail\"");
    assert_eq!(told.subject, "kinds.a");
    assert_eq!(told.why, "it has neither `exec` nor `http`, so nothing performs it");
    let told = problem("exec = [\"a\"]\nhttp = \"http://a\"\nenv = { A = \"b\" }");
    assert_eq!(told.why, "it has both `exec` and `http`, and one performs it");
    let told = problem("http = \"http://a\"\nenv = { A = \"b\" }");
    assert_eq!(
        told.to_string(),
        "kinds.a.env (leveret.toml:3)\n  why:  it is a key of kinds that \
         have `exec`; this one has `http`\n  mend: remove it"
    );
    assert!(problem("exec = [\"a\"]\nallow = [\"b\"]").why.contains("kinds that have `http`"));
}

#[test]
fn what_is_wrong_with_a_value_is_said_with_a_mend() {
    for (keys, subject, why) in [
        ("http = \"ftp://a\"", "kinds.a.http", "http:// or https://"),
        ("http = \"http://u:geheim@a\"", "kinds.a.http", "user or password"),
        ("http = \"http://a/#b\"", "kinds.a.http", "never sent"),
        (
            "http = \"http://a\"\nheaders = { \"a b\" = \"c\" }",
            "kinds.a.headers",
            "no name of a header",
        ),
        (
            "http = \"http://a\"\nheaders = { Host = \"c\" }",
            "kinds.a.headers",
            "Host: Leveret sends it",
        ),
        (
            "http = \"http://a\"\nheaders = { x-leveret-a = \"c\" }",
            "kinds.a.headers",
            "sends it itself",
        ),
        (
            "http = \"http://a\"\nheaders = { a = \"c\\nd\" }",
            "kinds.a.headers",
            "control characters",
        ),
        ("http = \"http://a\"\nheaders = { a = \"c\", A = \"d\" }", "kinds.a.headers", "twice"),
        ("http = \"http://a\"\nsecret = \"geheim\"", "kinds.a.secret", "fewer than 16"),
        ("http = \"http://a\"\nsecret = [\"sixteen-letters-\"]", "kinds.a.secret", "not two"),
        (
            "http = \"http://a\"\nsecret = { fil = \"geheim\" }",
            "kinds.a.secret",
            "neither `file` nor",
        ),
        ("http = \"http://a\"\nallow = [\"10.0.0.0/40\"]", "kinds.a.allow", "no network"),
        ("exec = [\"a\"]\nenv = { LEVERET_A = \"b\" }", "kinds.a.env", "Leveret's own"),
        ("exec = [\"a\"]\nenv = { A = 1 }", "kinds.a.env", "A: it is a whole number"),
        ("exec = [\"a\"]\nenv_pass = [\"A=B\"]", "kinds.a.env_pass", "no name of a variable"),
        ("exec = [\"a\"]\nenv_pass = [\"A\"]\nenv.A = \"b\"", "kinds.a.env_pass", "`env` as well"),
        ("exec = [\"a\"]\ncwd = \"\"", "kinds.a.cwd", "it is empty"),
    ] {
        let told = problem(keys);
        assert_eq!(told.subject, subject, "{told}");
        assert!(told.why.contains(why), "{keys}: {told}");
        assert!(!told.mend.is_empty() && !told.to_string().contains("geheim"), "{told}");
    }
    assert_eq!(
        problem("http = \"http://a\"\nheader = { a = \"b\" }").mend,
        "did you mean headers?"
    );
}

#[test]
fn no_text_that_may_be_a_secret_is_shown() {
    let place = Place::kind(
        "http = \"https://hooks.example/paid?token=geheim\"\n\
         headers = { authorization = \"Bearer geheim\", x = { file = \"x\" }, file = \"geheim\" }\n\
         secret = [\"geheim-geheim-geheim\", { env = \"OTHER\" }]\n\
         [kinds.b]\nexec = [\"b\"]\nenv = { env = \"geheim\", A = \"geheim\" }\n",
    )
    .variable("OTHER", "geheim-geheim-geheim");
    let loaded = place.loaded();
    let row = |key: &str| {
        let rows = loaded.rows();
        rows.into_iter().find(|row| row.key == key).unwrap().value.unwrap()
    };
    assert_eq!(row("kinds.a.http"), "\"https://hooks.example/paid?***\"");
    let headers = "{ authorization = ***, file = ***, x = { file = \"x\" } }";
    assert_eq!(row("kinds.a.headers"), headers);
    assert_eq!(row("kinds.a.secret"), "[***, { env = \"OTHER\" }]");
    assert_eq!(row("kinds.b.env"), "{ A = ***, env = *** }");
    std::fs::write(place.folder.path().join("x"), "geheim").unwrap();
    let opened = open(&loaded.settings.kinds).unwrap();
    assert!(!format!("{loaded:?} {opened:?}").contains("geheim"));
}

#[test]
fn a_secret_that_cannot_be_read_stops_the_worker_and_nobody_else() {
    let place = Place::kind(
        "http = \"http://a\"\nsecret = { file = \"gone\" }\n\
         headers = { a = { env = \"NOT_SET\" }, b = { file = \"short\" } }\n",
    );
    std::fs::write(place.folder.path().join("short"), "a\nb").unwrap();
    let problems = place.opened().unwrap_err().to_string();
    for told in [
        "3 problems",
        "kinds.a.secret\n  why:  failed to read it from",
        "kinds.a.headers.a\n  why:  the variable NOT_SET is not set\n  mend: give the text",
        "kinds.a.headers.b\n  why:  it holds control characters",
    ] {
        assert!(problems.contains(told), "{told}: {problems}");
    }
}

#[test]
fn the_kinds_of_the_page_are_bound_as_they_stand_there() {
    let page = include_str!("../../../../docs/kinds.md");
    let mut count = 0;
    for block in page.split("```toml\n").skip(1) {
        let place = Place::kind("exec = [\"a\"]\n");
        let text = block.split_once("```").unwrap().0;
        std::fs::write(place.folder.path().join(FILE_NAME), text).unwrap();
        count += place.loaded().settings.kinds.len();
    }
    assert_eq!(count, 6);
}
