//! Attributes of the derive that are wrong: all of a type are told at once.

use leveret_worker::Task;

#[derive(Task)]
struct NoKind;

#[derive(Task)]
#[task(
    kind = "email welcome",
    aliases = ["a", ""],
    queue = "Mail",
    class = "hihg",
    max_attempts = 0,
    timeout = "30",
    redact(emial),
    colour = "red"
)]
struct AllWrong {
    email: String,
}

#[derive(Task)]
#[task(kind = "a", kind = "b", queue("mail"), class = high, timeout = 30, backoff = "fixed", aliases = "b")]
struct Forms;

#[derive(Task)]
#[task(kind = "a", backoff(expnential))]
struct Curve;

#[derive(Task)]
#[task(kind = "a", backoff(fixed, base = "1s"))]
struct Parameter;

#[derive(Task)]
#[task(kind = "a", backoff(exponential, base = "20m", max = "10m"), timeout = "31d")]
struct Range;

#[derive(Task)]
#[task(kind = "a", redact(email), max_attempts = "8")]
enum NoFields {
    Email,
}

#[derive(Task)]
#[task(kind = "a", schema = "a.json", crate = 7)]
struct Schema;

#[derive(Task)]
#[task(kind = "a", schema, crate = "no path")]
struct Generic<T>(T);

#[derive(Task)]
#[task(kind = "a", schema)]
struct Sized<const N: usize>;

fn main() {}
