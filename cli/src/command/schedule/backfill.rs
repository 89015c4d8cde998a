//! `leveret schedule backfill`: the tasks of a range in the past, a request for each thousand.
//!
//! Guards that going on after a failure puts nothing in twice: every request of one backfill has the
//! same key, and what failed says how to go on.

use leveret_common::id::TaskId;
use serde_json::{Value, json};

use super::change::repeatable;
use super::time;
use crate::args::Backfill;
use crate::client::{Client, about, part};
use crate::confirm::{self, WAY_OUT};
use crate::error::Error;
use crate::progress::Progress;
use crate::report::{self, Format};

/// A range of one schedule.
struct Range {
    name: String,
    from: String,
    to: String,
    key: String,
}

/// Puts in what lies in the range.
///
/// # Cancel safety
/// Dropped, some of the tasks are in: go on with the same key.
pub(super) async fn run(wish: &Backfill, client: &Client, format: Format) -> Result<(), Error> {
    let range = range(wish, client).await?;
    let foreseen = range.foresee(client).await?;
    if wish.dry_run {
        return print(&foreseen, format);
    }
    if foreseen["count"] == 0 {
        report::narrate(&format!("nothing is due from {} to {}", range.from, range.to));
        return tell(&range, 0, 0, format);
    }
    if !wish.yes {
        let tasks = format!("{} tasks of schedule {}", number(&foreseen), range.name);
        let span = format!("due from {} to {}", text(&foreseen["first"]), text(&foreseen["last"]));
        confirm::ask(&format!("put in {tasks}, {span}"), WAY_OUT)?;
    }
    let (count, repeated) = range.put_in(&foreseen, client).await?;
    tell(&range, count, repeated, format)
}

async fn range(wish: &Backfill, client: &Client) -> Result<Range, Error> {
    let name = wish.name.clone();
    let zone = time::zone_of(&name, &wish.from, client).await?;
    let from = time::utc(time::read("--from", &wish.from, zone)?);
    let to = match &wish.to {
        Some(to) => {
            let zone = time::zone_of(&name, to, client).await?;
            time::utc(time::read("--to", to, zone)?)
        }
        // Settled once: the range must not grow while it is put in.
        None => time::utc(time::now()),
    };
    let key = wish.key.clone().unwrap_or_else(|| TaskId::mint().to_string());
    Ok(Range { name, from, to, key })
}

impl Range {
    fn path(&self) -> String {
        format!("/v1/schedules/{}/backfill", part(&self.name))
    }

    async fn foresee(&self, client: &Client) -> Result<Value, Error> {
        let body = json!({ "from": self.from, "to": self.to, "dry_run": true });
        client.post(about("foresee a backfill of schedule", &self.name), &self.path(), &body).await
    }

    /// Puts everything in, and returns how many tasks that were, and how many were there before.
    async fn put_in(&self, foreseen: &Value, client: &Client) -> Result<(u64, u64), Error> {
        let bar = Progress::through("tasks");
        let all = foreseen["count"].as_u64().unwrap_or_default();
        let (mut count, mut repeated) = (0, 0);
        let mut from = self.from.clone();
        loop {
            let body = json!({ "from": from, "to": self.to });
            let operation = about("backfill schedule", &self.name);
            let answer = client.post_with_key(operation, &self.path(), &self.key, &body).await;
            let answer = answer.map_err(|error| {
                bar.finish();
                // What was refused from the beginning has put in nothing.
                if count > 0 || matches!(error, Error::Unreachable { .. }) {
                    self.tell_rest(count, &from);
                }
                repeatable(error, &self.key)
            })?;
            let tasks = answer["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
            count += tasks.len() as u64;
            repeated += tasks.iter().filter(|task| task["repeated"] == true).count() as u64;
            bar.at(count, all.max(count));
            match answer["rest"].as_str() {
                Some(rest) => rest.clone_into(&mut from),
                None => return Ok((count, repeated)),
            }
        }
    }

    /// Says how far it came and how to go on.
    fn tell_rest(&self, count: u64, from: &str) {
        let Self { name, to, key, .. } = self;
        report::narrate(&format!(
            "{count} tasks are in; `leveret schedule backfill {name} --from {from} --to {to} --key \
             {key}` goes on, and puts nothing in twice"
        ));
    }
}

fn print(foreseen: &Value, format: Format) -> Result<(), Error> {
    if format != Format::Table {
        return Ok(report::one(format, &[], foreseen)?);
    }
    let shown = json!({
        "count": number(foreseen), "first": foreseen["first"], "last": foreseen["last"],
    });
    report::one(format, &["count", "first", "last"], &shown)?;
    report::narrate("nothing was done");
    Ok(())
}

/// Says how many there are; they are not counted to their end where there are very many.
fn number(foreseen: &Value) -> String {
    let more = if foreseen["complete"] == false { "more than " } else { "" };
    format!("{more}{}", foreseen["count"])
}

fn tell(range: &Range, count: u64, repeated: u64, format: Format) -> Result<(), Error> {
    let Range { name, from, to, key } = range;
    let told = json!({
        "schedule": name, "tasks": count, "repeated": repeated, "from": from, "to": to, "key": key,
    });
    Ok(report::one(format, &["schedule", "tasks", "repeated", "from", "to", "key"], &told)?)
}

fn text(at: &Value) -> &str {
    at.as_str().unwrap_or("?")
}
