//! The filter language: which tasks a bulk command is about, in one line of text.
//!
//! Terms are separated by spaces and all must hold: `kind:email.* queue:mail age>1h -reason:rule`.
//! Shared by CLI, API and console; `docs/filters.md` is its reference.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::duration;

/// Longest filter, in bytes.
pub const MAX_FILTER: usize = 4 * 1024;
/// Most terms of a filter.
pub const MAX_TERMS: usize = 64;

/// A field whose values are compared as text, `*` standing for any text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Id,
    Key,
    Kind,
    Queue,
    Class,
    State,
    Reason,
    ErrorClass,
    Error,
}

/// A field that is a number or a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    Age,
    Attempt,
    Replay,
}

const FIELDS: [(&str, Field); 9] = [
    ("id", Field::Id),
    ("key", Field::Key),
    ("kind", Field::Kind),
    ("queue", Field::Queue),
    ("class", Field::Class),
    ("state", Field::State),
    ("reason", Field::Reason),
    ("error-class", Field::ErrorClass),
    ("error", Field::Error),
];

const MEASURES: [(&str, Measure); 3] =
    [("age", Measure::Age), ("attempt", Measure::Attempt), ("replay", Measure::Replay)];

/// What a filter is compared with. What is not known is empty, and matches no term about it.
#[derive(Debug, Clone, Default)]
pub struct Subject<'a> {
    /// The task's id.
    pub id: String,
    /// Its sender's own id, where it was not a UUID.
    pub origin_id: &'a str,
    /// Its idempotency key.
    pub key: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its queue.
    pub queue: &'a str,
    /// Its class.
    pub class: &'a str,
    /// Its state.
    pub state: &'a str,
    /// Why it is dead.
    pub reason: &'a str,
    /// The class of its last failure.
    pub error_class: &'a str,
    /// The message of its last failure.
    pub error: &'a str,
    /// Its tags.
    pub tags: Option<&'a BTreeMap<String, String>>,
    /// How long ago it came to where it is.
    pub age: Option<Duration>,
    /// The attempt that ran last.
    pub attempt: u32,
    /// Its replay.
    pub replay: u32,
}

/// A filter that was understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    text: String,
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    not: bool,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// One of the patterns fits.
    Text(Field, Vec<String>),
    /// A tag is there whose name fits, with a value that fits where one is asked for.
    Tag(Vec<String>, Option<Vec<String>>),
    Age(Order, Duration),
    Number(Measure, Order, u32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Less,
    Equal,
    More,
}

/// Tells why a text is not a filter, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the filter is wrong at column {column}: {why}")]
pub struct FilterError {
    /// The first wrong character, counted from 1.
    pub column: usize,
    /// What was found and what is expected.
    pub why: String,
}

impl Filter {
    /// Tells whether every term holds for `subject`. A filter without terms matches everything.
    #[must_use]
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        self.terms.iter().all(|term| term.test.holds(subject) != term.not)
    }

    /// Tells whether there is no term.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Returns the queues that a subject must be in one of, where the filter names them without
    /// `*`: what is elsewhere need not be looked at.
    #[must_use]
    pub fn queues(&self) -> Option<&[String]> {
        self.terms.iter().find_map(|term| match &term.test {
            Test::Text(Field::Queue, names)
                if !term.not && names.iter().all(|name| !name.contains('*')) =>
            {
                Some(names.as_slice())
            }
            _ => None,
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if text.len() > MAX_FILTER {
            let why = format!("it has {} bytes; at most {MAX_FILTER} are allowed", text.len());
            return Err(FilterError { column: 1, why });
        }
        let mut terms = Vec::new();
        for word in words(text)? {
            if terms.len() == MAX_TERMS {
                let why = format!("there are more than {MAX_TERMS} terms");
                return Err(FilterError { column: word.column, why });
            }
            terms.push(read(&word)?);
        }
        Ok(Self { text: text.trim().to_owned(), terms })
    }
}

/// A character, and whether it was quoted.
type Char = (char, bool);

/// A stretch without spaces, apart from quoted ones.
struct Word {
    column: usize,
    chars: Vec<Char>,
}

impl Word {
    fn error(&self, why: impl Into<String>) -> FilterError {
        FilterError { column: self.column, why: why.into() }
    }

    /// Splits at the first operator that is not quoted.
    fn split(&self) -> Option<(String, char, &[Char])> {
        let at = self.chars.iter().position(|(c, quoted)| !quoted && ":<>=".contains(*c))?;
        let name = self.chars[..at].iter().map(|(c, _)| c).collect();
        Some((name, self.chars[at].0, &self.chars[at + 1..]))
    }
}

fn words(text: &str) -> Result<Vec<Word>, FilterError> {
    let mut words: Vec<Word> = Vec::new();
    let (mut open, mut inside, mut escaped) = (None, false, false);
    for (index, c) in text.chars().enumerate() {
        let column = index + 1;
        if open.is_none() && c.is_whitespace() {
            inside = false;
            continue;
        }
        if !inside {
            words.push(Word { column, chars: Vec::new() });
            inside = true;
        }
        let Some(word) = words.last_mut() else { continue };
        match c {
            _ if escaped => {
                word.chars.push((c, true));
                escaped = false;
            }
            '\\' if open.is_some() => escaped = true,
            '"' if open.is_some() => open = None,
            '"' => open = Some(column),
            _ => word.chars.push((c, open.is_some())),
        }
    }
    match open {
        Some(column) => Err(FilterError { column, why: "this quote is not closed".to_owned() }),
        None => Ok(words),
    }
}

fn read(word: &Word) -> Result<Term, FilterError> {
    let known = || {
        let names = FIELDS.iter().map(|(name, _)| *name).chain(["tag"]);
        let names: Vec<_> = names.chain(MEASURES.iter().map(|(name, _)| *name)).collect();
        names.join(", ")
    };
    let Some((name, operator, value)) = word.split() else {
        let why = format!("a term is `field:value`, such as `queue:mail`; fields: {}", known());
        return Err(word.error(why));
    };
    let (not, name) = match name.strip_prefix('-') {
        Some(rest) => (true, rest.to_owned()),
        None => (false, name),
    };
    let plain: String = value.iter().map(|(c, _)| c).collect();
    if plain.is_empty() {
        return Err(word.error(format!("`{name}` has no value")));
    }
    if let Some((_, measure)) = MEASURES.iter().find(|(known, _)| *known == name) {
        return Ok(Term { not, test: measured(word, *measure, operator, &plain)? });
    }
    if operator != ':' {
        let why = format!("`{name}` is compared by `:`, as in `{name}:{plain}`");
        return Err(word.error(why));
    }
    if name == "tag" {
        return Ok(Term { not, test: tagged(word, value)? });
    }
    match FIELDS.iter().find(|(known, _)| *known == name) {
        Some((_, field)) => {
            Ok(Term { not, test: Test::Text(*field, patterns(word, &name, value)?) })
        }
        None => Err(word.error(format!("there is no field `{name}`; fields: {}", known()))),
    }
}

/// Reads `name`, `name,other` or `name=value,other`. What could be meant in two ways is refused: a
/// term that is turned round would let through what it was to keep out.
fn tagged(word: &Word, value: &[Char]) -> Result<Test, FilterError> {
    let is = |mark: char| move |(c, quoted): &Char| *c == mark && !quoted;
    let Some(at) = value.iter().position(is('=')) else {
        return Ok(Test::Tag(patterns(word, "tag", value)?, None));
    };
    let (names, values) = (&value[..at], &value[at + 1..]);
    let mut others = values.split(is(',')).skip(1);
    if names.iter().any(is(',')) || others.any(|other| other.iter().any(is('='))) {
        return Err(word.error(
            "a term is about one tag and its values, as in `tag:tenant=42,43`; another tag is a \
             term of its own, and a `=` or `,` that belongs to a value is quoted",
        ));
    }
    let names = patterns(word, "tag", names)?;
    Ok(Test::Tag(names, Some(patterns(word, "tag", values)?)))
}

fn measured(
    word: &Word,
    measure: Measure,
    operator: char,
    value: &str,
) -> Result<Test, FilterError> {
    let order = match operator {
        '<' => Order::Less,
        '>' => Order::More,
        _ => Order::Equal,
    };
    match measure {
        Measure::Age if order == Order::Equal => {
            Err(word.error("an age is compared by `<` or `>`, as in `age>1h`"))
        }
        Measure::Age => {
            let age = duration::parse(value).map_err(|error| word.error(error.to_string()))?;
            Ok(Test::Age(order, age))
        }
        Measure::Attempt | Measure::Replay => {
            let number =
                value.parse().map_err(|_| word.error(format!("{value:?} is no whole number")))?;
            Ok(Test::Number(measure, order, number))
        }
    }
}

/// Splits at commas that are not quoted; at least one part is left. A quoted `*` is a star and no
/// pattern.
fn patterns(word: &Word, name: &str, value: &[Char]) -> Result<Vec<String>, FilterError> {
    let mark = |(c, quoted): &Char| match c {
        '*' if *quoted => LITERAL_STAR,
        c => *c,
    };
    let parts = value.split(|(c, quoted)| *c == ',' && !quoted).filter(|part| !part.is_empty());
    let patterns: Vec<String> = parts.map(|part| part.iter().map(mark).collect()).collect();
    if patterns.is_empty() {
        return Err(word.error(format!("`{name}` has no value")));
    }
    Ok(patterns)
}

/// Stands for a quoted star inside a pattern; no text that can be compared holds it.
const LITERAL_STAR: char = '\u{0}';

impl Test {
    fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Text(Field::Id, patterns) => {
                let is_it = |text: &str| any(patterns, text);
                is_it(&subject.id) || is_it(subject.origin_id)
            }
            // An error is rarely known word for word: a part of it is enough.
            Self::Text(Field::Error, patterns) => {
                let anywhere = |pattern: &String| format!("*{}*", pattern.to_lowercase());
                let patterns: Vec<_> = patterns.iter().map(anywhere).collect();
                any(&patterns, &subject.error.to_lowercase())
            }
            Self::Text(field, patterns) => any(patterns, subject.text(*field)),
            Self::Tag(names, values) => {
                // A value without text is known all the same.
                let has_it = |text: &str| {
                    values.as_ref().is_none_or(|values| values.iter().any(|of| fits(of, text)))
                };
                let mut tags = subject.tags.into_iter().flatten();
                tags.any(|(name, value)| any(names, name) && has_it(value))
            }
            Self::Age(order, than) => subject.age.is_some_and(|age| order.holds(&age, than)),
            Self::Number(Measure::Replay, order, than) => order.holds(&subject.replay, than),
            Self::Number(_, order, than) => order.holds(&subject.attempt, than),
        }
    }
}

impl Subject<'_> {
    fn text(&self, field: Field) -> &str {
        match field {
            Field::Id => &self.id,
            Field::Key => self.key,
            Field::Kind => self.kind,
            Field::Queue => self.queue,
            Field::Class => self.class,
            Field::State => self.state,
            Field::Reason => self.reason,
            Field::ErrorClass => self.error_class,
            Field::Error => self.error,
        }
    }
}

impl Order {
    fn holds<T: Ord>(self, value: &T, than: &T) -> bool {
        match self {
            Self::Less => value < than,
            Self::Equal => value == than,
            Self::More => value > than,
        }
    }
}

fn any(patterns: &[String], text: &str) -> bool {
    !text.is_empty() && patterns.iter().any(|pattern| fits(pattern, text))
}

/// Compares with `*` standing for any text, in time of pattern × text at most.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == text[t] || (*c == LITERAL_STAR && text[t] == '*') => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn subject(tags: &BTreeMap<String, String>) -> Subject<'_> {
        Subject {
            id: "0192f0c1-2345-7abc-8def-0123456789ab".to_owned(),
            origin_id: "order 7",
            kind: "email.welcome",
            queue: "mail",
            class: "high",
            state: "dead",
            reason: "handler",
            error_class: "smtp",
            error: "Connection refused by 10.0.0.1",
            tags: Some(tags),
            age: Some(Duration::from_secs(7_200)),
            attempt: 3,
            ..Subject::default()
        }
    }

    fn holds(filter: &str) -> bool {
        let tags = [("tenant", "42"), ("empty", ""), ("sum", "1,2=3*")];
        let tags = tags.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        filter.parse::<Filter>().unwrap().matches(&subject(&tags))
    }

    #[test]
    fn every_term_must_hold() {
        for yes in [
            "",
            "kind:email.* queue:mail",
            "kind:email.welcome",
            "kind:*welcome",
            "kind:sms.*,email.*",
            "-kind:sms.*",
            "state:dead class:high reason:handler error-class:smtp",
            "error:refused",
            "error:\"connection refused\"",
            "tag:tenant=42",
            "tag:tenant=41,42",
            "tag:tenant=4*",
            "tag:tenant=*",
            "tag:\"tenant\"=\"42\"",
            "tag:tenant",
            "tag:other,ten*",
            "tag:empty",
            "tag:empty=*",
            "tag:sum=\"1,2=3*\"",
            "tag:sum=1*=3*",
            "-tag:tenant=43,44",
            "-tag:tenant=\"4*\"",
            "-tag:tenant=\"41,42\"",
            "-tag:\"tenant=42\"",
            "age>1h age<3h",
            "attempt:3 attempt>2 replay:0",
            "id:0192f0c1-*",
            "id:\"order 7\"",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in [
            "kind:email",
            "kind:email.* queue:files",
            "-queue:mail",
            "tag:tenant=43",
            "tag:tenant=\"4*\"",
            "tag:tenant=\"42,43\"",
            "-tag:tenant=42,43",
            "-tag:tenant=43,42",
            "-tag:vip,tenant",
            "tag:other",
            "age>3h",
            "attempt<3",
            "key:*",
            "kind:\"email.*\"",
        ] {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn a_wrong_filter_says_where_and_what_is_expected() {
        for (text, column, why) in [
            ("queue:mail foo", 12, "a term is `field:value`"),
            ("colour:red", 1, "there is no field `colour`; fields: id, key, kind"),
            ("queue:", 1, "`queue` has no value"),
            ("age:1h", 1, "an age is compared by `<` or `>`"),
            ("age>1", 1, "unit"),
            ("kind:a error:\"open", 14, "this quote is not closed"),
            ("kind>a", 1, "`kind` is compared by `:`"),
            ("attempt:x", 1, "is no whole number"),
            ("-kind:,", 1, "`kind` has no value"),
            ("kind:\"\",,", 1, "`kind` has no value"),
            ("tag:tenant=", 1, "`tag` has no value"),
            ("tag:tenant=,", 1, "`tag` has no value"),
            ("tag:=42", 1, "`tag` has no value"),
            ("-tag:tenant=42,vip=yes", 1, "a term is about one tag"),
            ("-tag:vip,tenant=42", 1, "a term is about one tag"),
        ] {
            let error = text.parse::<Filter>().unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.why.contains(why), "{text}: {error}");
        }
        assert!("x".repeat(MAX_FILTER + 1).parse::<Filter>().is_err());
        assert!("id:a ".repeat(MAX_TERMS + 1).parse::<Filter>().is_err());
    }

    #[test]
    fn what_is_not_known_matches_no_term_and_every_one_that_is_turned_round() {
        let unknown = Subject::default();
        for (name, _) in FIELDS {
            for pattern in ["*", "a", "a,*"] {
                let filter =
                    |not: &str| format!("{not}{name}:{pattern}").parse::<Filter>().unwrap();
                assert!(!filter("").matches(&unknown), "{name}:{pattern}");
                assert!(filter("-").matches(&unknown), "-{name}:{pattern}");
            }
        }
        for term in ["tag:*", "tag:*=*", "age>0s"] {
            assert!(!term.parse::<Filter>().unwrap().matches(&unknown), "{term}");
        }
    }

    #[test]
    fn named_queues_are_told_and_patterns_are_not() {
        let queues = |text: &str| text.parse::<Filter>().unwrap().queues().map(<[_]>::to_vec);
        assert_eq!(queues("queue:mail,files"), Some(vec!["mail".to_owned(), "files".to_owned()]));
        assert_eq!(queues("queue:ma*"), None);
        assert_eq!(queues("-queue:mail"), None);
        assert_eq!(queues("kind:a"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_a_filter_or_an_error_inside_it(text in ".{0,80}") {
            match text.parse::<Filter>() {
                Ok(filter) => { let _either = filter.matches(&Subject::default()); }
                Err(error) => prop_assert!((1..=text.chars().count().max(1)).contains(&error.column)),
            }
        }

        #[test]
        fn stars_fit_as_a_simple_oracle_says(pattern in "[ab*]{0,8}", text in "[ab]{0,8}") {
            fn oracle(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|n| oracle(rest, &text[n..])),
                    Some((c, rest)) => text.first() == Some(c) && oracle(rest, &text[1..]),
                }
            }
            prop_assert_eq!(fits(&pattern, &text), oracle(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
