//! The page about the configuration lists every limit and deadline, each with the value that it has in code.
//!
//! What is set by a key has the default that the page's own table of keys says, which a test beside the keys
//! compares with the code. What is fixed is in many crates, most of it private to one file; so it is read from
//! the text here. Guards that a number which changes changes on the page, too.

use self::Unit::{Count, Size, Time};
use crate::tree::{Source, Tree, Violation};

const PAGE: &str = "docs/configuration.md";
/// Where the list begins.
const HEADING: &str = "## Limits and deadlines";

/// How a value is written.
#[derive(Clone, Copy)]
enum Unit {
    Time,
    Size,
    Count,
}

/// A limit that no key sets: how its row begins, and where its value is.
struct Fixed {
    row: &'static str,
    path: &'static str,
    /// A constant's name, or a field's.
    name: &'static str,
    unit: Unit,
}

const fn fixed(row: &'static str, path: &'static str, name: &'static str, unit: Unit) -> Fixed {
    Fixed { row, path, name, unit }
}

const CONNECTION: &str = "common/src/broker/rabbitmq/connection.rs";
const ROUND: &str = "common/src/desk/walk/round.rs";
const GATEWAY: &str = "gateway/src/config.rs";
const PATIENT: &str = "gateway/src/operations/patient.rs";
const PROBE: &str = "cli/src/probe.rs";
const WRITER: &str = "common/src/embedded/writer.rs";
const PLACE: &str = "common/src/embedded/place.rs";
const RUN: &str = "outbox/src/relay/run.rs";
const PUSH: &str = "worker/src/handler/push/mod.rs";
const CLIENT: &str = "cli/src/client/mod.rs";

const FIXED: &[Fixed] = &[
    fixed("A request on a connection", CONNECTION, "REQUEST_DEADLINE", Time),
    fixed("The goodbye of a connection", CONNECTION, "GOODBYE_DEADLINE", Time),
    fixed(
        "Publishes on their way when the broker blocks",
        "common/src/broker/rabbitmq/publisher/mod.rs",
        "BLOCKED_GRACE",
        Time,
    ),
    fixed("A queue that was made just now", "common/src/broker/rabbitmq/mod.rs", "NEW_QUEUE", Time),
    fixed(
        "A delay queue that confirms nothing",
        "common/src/broker/rabbitmq/publisher/silent.rs",
        "AROUND",
        Time,
    ),
    fixed("Headers of a message", "common/src/broker/rabbitmq/outbox.rs", "HEADERS_LIMIT", Size),
    fixed("A message that is moved", "common/src/backend/open.rs", "LARGEST_MESSAGE", Size),
    fixed("Unrouted messages in hand", "common/src/broker/rabbitmq/sweeper.rs", "PREFETCH", Count),
    fixed("Dead letters in hand of a walk", ROUND, "IN_HAND", Count),
    fixed("Dead letters prefetched beyond those", ROUND, "IN_RESERVE", Count),
    fixed("A walk without a letter", ROUND, "QUIET", Time),
    fixed(
        "Requests that wait to be written",
        "common/src/store/redis/link.rs",
        "WRITE_QUEUE",
        Count,
    ),
    fixed("Commands of one round trip", "common/src/store/redis/mod.rs", "MAX_PIPELINE", Count),
    fixed("Signals that wait for a worker", "common/src/store/signals.rs", "MAX_SIGNALS", Count),
    fixed("Operations that wait for the writer", WRITER, "CHANNEL", Count),
    fixed("Rows of one commit", WRITER, "GROUP", Count),
    fixed("Questions that wait for a reader", "common/src/embedded/reader.rs", "CHANNEL", Count),
    fixed("Messages read ahead of a lane", PLACE, "AHEAD", Count),
    fixed("Bodies read ahead of a lane", PLACE, "AHEAD_BYTES", Size),
    fixed("A file that somebody else has open", "common/src/embedded/schema.rs", "BUSY", Time),
    fixed("The store beside a publish", "producer/src/known.rs", "STORE_PATIENCE", Time),
    fixed("Each step of a cancel", "producer/src/cancel.rs", "PATIENCE", Time),
    fixed("Tasks published together", "producer/src/bulk.rs", "CHUNK", Count),
    fixed(
        "A look at a broker that said nothing of all of them",
        "producer/src/bulk.rs",
        "LOOK",
        Time,
    ),
    fixed("Slots that a worker can be given", "worker/src/control.rs", "MAX_SLOTS", Count),
    fixed("Queues of a worker", "common/src/config/form.rs", "MAX_QUEUES", Count),
    fixed("What was let go of at the end", "worker/src/worker.rs", "LET_GO_WITHIN", Time),
    fixed("The last words of a handler", "worker/src/execute.rs", "LAST_WORDS", Time),
    fixed("A result", "worker/src/handler/mod.rs", "MAX_RESULT", Size),
    fixed("What is told of a failure", "worker/src/handler/output.rs", "MAX_TOLD", Size),
    fixed("A checkpoint", "worker/src/handler/notebook.rs", "MAX_CHECKPOINT", Size),
    fixed("Follow-ups of an attempt", "producer/src/follow_up.rs", "MAX_FOLLOW_UPS", Count),
    fixed("Args of all follow-ups", "producer/src/follow_up.rs", "MAX_FOLLOW_UP_BYTES", Size),
    fixed("Output after a program's exit", "worker/src/handler/exec/mod.rs", "LAST_OUTPUT", Time),
    fixed("A connection to a receiver", PUSH, "CONNECT_TIMEOUT", Time),
    fixed("Idle connections to a receiver", PUSH, "MAX_IDLE", Count),
    fixed(
        "What a refusing receiver says",
        "worker/src/handler/push/verdict.rs",
        "LAST_WORDS",
        Time,
    ),
    fixed("The store in a beat", "beat/src/engine/patience.rs", "PATIENCE", Time),
    fixed("Occurrences published together", "beat/src/engine/publisher.rs", "CHUNK", Count),
    fixed("A beat's end", "beat/src/engine/beat.rs", "FINISH_WITHIN", Time),
    fixed("Connections of a gateway", GATEWAY, "max_connections", Count),
    fixed("The head of a request, and an idle connection", GATEWAY, "header_timeout", Time),
    fixed("The size of a request's head", "gateway/src/connection.rs", "MAX_HEAD", Size),
    fixed("Silence within a body", GATEWAY, "idle_timeout", Time),
    fixed("An answer that nobody reads", GATEWAY, "write_timeout", Time),
    fixed("Requests after the stop", GATEWAY, "grace", Time),
    fixed("A wait for a result", "gateway/src/route/tasks.rs", "MAX_WAIT", Time),
    fixed("A publish of the gateway before it looks", PATIENT, "PATIENCE", Time),
    fixed("That look at the broker", PATIENT, "LOOK", Time),
    fixed("The store in a request", "gateway/src/operations/mod.rs", "STORE_PATIENCE", Time),
    fixed("The broker in a request", "gateway/src/operations/mod.rs", "BROKER_PATIENCE", Time),
    fixed("Lines that wait to be read", "gateway/src/stream.rs", "WAITING", Count),
    fixed(
        "A part that the doctor looks at",
        "gateway/src/operations/doctor/mod.rs",
        "EXAMINATION",
        Time,
    ),
    fixed("Connections of a role's door", PROBE, "connections", Count),
    fixed("The head of a probe, and an idle connection", PROBE, "header_timeout", Time),
    fixed("A probe's answer that nobody reads", PROBE, "write_timeout", Time),
    fixed("Probes after the end", PROBE, "grace", Time),
    fixed("A connection to PostgreSQL", "outbox/src/relay/line.rs", "CONNECT", Time),
    fixed("A statement", "outbox/src/relay/postgres.rs", "PATIENCE", Time),
    fixed(
        "Args and options of a batch of rows",
        "outbox/src/relay/sqlite/rows.rs",
        "MOST_BYTES",
        Size,
    ),
    fixed("An application's lock on its file", "outbox/src/relay/sqlite/mod.rs", "BUSY", Time),
    fixed("A batch after the stop", RUN, "GRACE", Time),
    fixed("Its marks", RUN, "MARKED_WITHIN", Time),
    fixed("A connection to the gateway", CLIENT, "CONNECT", Time),
    fixed("Longer than the gateway's own limit", CLIENT, "MARGIN", Time),
    fixed("Silence within a long answer", CLIENT, "SILENCE", Time),
    fixed("A line of an answer", "cli/src/client/answers.rs", "LONGEST", Size),
    fixed("A role that is asked how it is", "cli/src/knock.rs", "PATIENCE", Time),
];

/// Every row of the list has the value that the code has, and nothing fixed is missing.
pub(super) fn every_limit_is_on_the_page_as_in_the_code(tree: &Tree) -> Vec<Violation> {
    let page = match tree.source(PAGE) {
        Ok(page) => page,
        Err(violation) => return vec![violation],
    };
    let rows = rows(page);
    let mut violations: Vec<Violation> =
        FIXED.iter().filter_map(|limit| is_off(tree, page, &rows, limit)).collect();
    violations.extend(rows.iter().filter_map(|row| is_no_default(page, row)));
    violations
}

/// A row of the list: its line, what it is, the value, and what sets it.
struct Row<'a> {
    line: usize,
    what: &'a str,
    value: &'a str,
    set_by: &'a str,
}

fn rows(page: &Source) -> Vec<Row<'_>> {
    let lines = page.text.lines().enumerate().skip_while(|(_, line)| *line != HEADING).skip(1);
    let section = lines.take_while(|(_, line)| !line.starts_with("## "));
    section
        .filter_map(|(line, text)| {
            let mut cells = text.strip_prefix("| ")?.split(" | ");
            let (what, value, set_by) = (cells.next()?, cells.next()?, cells.next()?);
            Some(Row { line, what, value, set_by })
        })
        .collect()
}

fn is_off(tree: &Tree, page: &Source, rows: &[Row<'_>], limit: &Fixed) -> Option<Violation> {
    let source = match tree.source(limit.path) {
        Ok(source) => source,
        Err(violation) => return Some(violation),
    };
    let Some(value) = value(source, limit.name, limit.unit) else {
        let what = format!("holds no `{}` that tidy can read, for {PAGE}", limit.name);
        return Some(source.violation(0, what));
    };
    let Some(row) = rows.iter().find(|row| row.what == limit.row) else {
        return Some(page.violation(0, format!("has no row {:?} in {HEADING:?}", limit.row)));
    };
    let (path, name) = (limit.path, limit.name);
    let what = format!("{:?} is {} here and {value} in {path} ({name})", row.what, row.value);
    (row.value != format!("`{value}`") || row.set_by != "fixed")
        .then(|| page.violation(row.line, what))
}

/// A row that a key sets says the default that the table of keys says.
fn is_no_default(page: &Source, row: &Row<'_>) -> Option<Violation> {
    if !row.set_by.starts_with('`') {
        return None;
    }
    let says = format!("| {} | {} |", row.set_by, row.value);
    let what = format!("{:?} is not the default of {} above", row.value, row.set_by);
    let is_said = page.text.lines().any(|line| line.starts_with(&says));
    (!is_said).then(|| page.violation(row.line, what))
}

/// Reads the value of a constant or a field, and writes it as the page does.
fn value(source: &Source, name: &str, unit: Unit) -> Option<String> {
    let of_constant = |line: &str| {
        let rest = line.split_once(&format!("const {name}: "))?.1;
        Some(rest.split_once(" = ")?.1.trim_end_matches(';').to_owned())
    };
    let of_field = |line: &str| {
        let rest = line.trim_start().strip_prefix(&format!("{name}: "))?;
        rest.strip_suffix(',').map(str::to_owned)
    };
    let said = source.text.lines().find_map(|line| of_constant(line).or_else(|| of_field(line)))?;
    Some(match unit {
        Time => duration(&said)?,
        Size => size(number(&said)?),
        Count => thousands(number(&said)?),
    })
}

fn duration(said: &str) -> Option<String> {
    let (unit, number_) =
        said.strip_prefix("Duration::from_")?.strip_suffix(')')?.split_once('(')?;
    let millis = match unit {
        "secs" => number(number_)? * 1_000,
        "millis" => number(number_)?,
        _ => return None,
    };
    Some(match millis {
        millis if millis % 60_000 == 0 && millis > 60_000 => format!("{}m", millis / 60_000),
        millis if millis % 1_000 == 0 => format!("{}s", millis / 1_000),
        millis => format!("{millis}ms"),
    })
}

/// Works out numbers such as `1_024`, `16 << 10` and `4 * 1024 * 1024`.
fn number(said: &str) -> Option<u64> {
    if let Some((number_, shift)) = said.split_once(" << ") {
        return number(number_)?.checked_shl(u32::try_from(number(shift)?).ok()?);
    }
    said.split(" * ").map(|part| part.replace('_', "").parse::<u64>().ok()).product()
}

fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{}MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{}KiB", bytes >> 10),
        bytes => format!("{bytes}B"),
    }
}

fn thousands(count: u64) -> String {
    match count {
        count if count < 1_000 => count.to_string(),
        count => format!("{},{:03}", count / 1_000, count % 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, name: &str, unit: Unit) -> Option<String> {
        value(Tree::of(&[("a.rs", text)]).source("a.rs").unwrap(), name, unit)
    }

    #[test]
    fn values_are_read_and_written_as_people_write_them() {
        let code = "const A: Duration = Duration::from_millis(1_500);\n\
                    pub(crate) const B: usize = 64 << 10;\n    const C: u64 = 4 * 1024 * 1024;\n\
                    const D: usize = 1_024;\n            e: Duration::from_secs(180),\n\
                    const F: Duration = A;\nconst G: Duration = Duration::from_secs(5);\n";
        let found = [("A", Time), ("B", Size), ("C", Size), ("D", Count), ("e", Time), ("G", Time)]
            .map(|(name, unit)| read(code, name, unit).unwrap());
        assert_eq!(found, ["1500ms", "64KiB", "4MiB", "1,024", "3m", "5s"]);
        assert_eq!((read(code, "F", Time), read(code, "H", Time)), (None, None));
    }

    const KEYS: &str = "| `a.b` | `10s` | a duration | Says so. |\n";

    fn page(rows: &str) -> Tree {
        let page =
            format!("{KEYS}\n{HEADING}\n\n| what | limit | set by | then |\n{rows}\n## More\n");
        Tree::of(&[(PAGE, &page), ("a.rs", "const A: Duration = Duration::from_secs(5);\n")])
    }

    fn told(tree: &Tree) -> Option<String> {
        let page = tree.source(PAGE).unwrap();
        let limit = fixed("It", "a.rs", "A", Time);
        is_off(tree, page, &rows(page), &limit).map(|violation| violation.what)
    }

    #[test]
    fn a_number_that_is_another_one_in_the_code_is_found() {
        assert_eq!(told(&page("| It | `5s` | fixed | Ends. |")), None);
        let told_of = |rows: &str| told(&page(rows)).unwrap();
        assert!(told_of("| It | `6s` | fixed | Ends. |").contains("`6s` here and 5s in a.rs (A)"));
        assert!(told_of("| It | `5s` | `a.b` | Ends. |").contains("5s in a.rs"));
        assert!(told_of("| Else | `5s` | fixed | Ends. |").contains("no row \"It\""));
    }

    #[test]
    fn a_default_that_is_not_its_keys_is_found() {
        let found = |rows: &str| {
            let tree = page(rows);
            let page = tree.source(PAGE).unwrap();
            self::rows(page).iter().filter_map(|row| is_no_default(page, row)).count()
        };
        assert_eq!(found("| It | `10s` | `a.b` | Ends. |"), 0);
        assert_eq!(found("| It | `11s` | `a.b` | Ends. |\n| It | `1s` | `a.c` | Ends. |"), 2);
    }

    #[test]
    fn a_page_that_is_not_there_is_found() {
        assert_eq!(every_limit_is_on_the_page_as_in_the_code(&Tree::of(&[])).len(), 1);
    }
}
