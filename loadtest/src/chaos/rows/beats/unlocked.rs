//! The lock of the beats broken on purpose: again and again the lease is taken away, whoever holds it, so that all of
//! three beats come to lead at once.
//!
//! Nothing rests on the lock: the same occurrence has the same id for each of them, and the ledger runs it once.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};

use super::leading::{leads, until_one_leads};
use super::stopped::with_lease;
use super::table::Table;
use crate::chaos::{Cast, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::oracle::Finding;
use crate::timetable::owed::{Between, Spell};

const BEATS: usize = 3;
const LEASE: Duration = Duration::from_secs(1);
/// For how long there is no lock, and in a play with the full numbers.
const LASTS: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));
/// For how long at most, until two are seen to lead at once.
const SLOW: Duration = Duration::from_secs(60);
/// How often it is taken away: far more often than it is renewed.
const EVERY: Duration = Duration::from_millis(50);
/// Schedules beside the one of each table, so that there is more to collide with.
const MORE: &str = "\
    [schedules.a]\nwhen = \"every 1s\"\nkind = \"ok\"\n\
    [schedules.b]\nwhen = \"*/2 * * * * ?\"\nkind = \"ok\"\n\
    [schedules.c]\nwhen = \"every 3s\"\nkind = \"ok\"\njitter = \"1s\"\n";

pub(super) async fn holds(stage: &mut Stage) -> Result<Finding, Error> {
    let lasts = if stage.play().is_full { LASTS.1 } else { LASTS.0 };
    let mut chance = stage.play().chance(4);
    let mut fleet = stage.another_fleet("unlocked", Cast::Shipped, with_lease(LEASE))?;
    let mut table = Table::write(&fleet, MORE)?;
    table.shown(0);
    fleet.start_gateway("").await?;
    fleet.start_worker("").await?;
    let began = Fleet::now();
    for _ in 0..BEATS {
        fleet.start_beat("").await?;
    }
    until_one_leads(&mut fleet).await?;
    table.fires_after(&fleet, began, Fleet::now).await?;
    let seen = Fleet::now();

    stage.say("takes the lock from whoever leads");
    let key = format!("{}:{{lease:beat}}", fleet.settings().namespace);
    let (since, mut taken, mut most) = (Instant::now(), 0, 0);
    let store = stage.store()?;
    let take = async {
        loop {
            taken += store.ask(&["DEL", &key]).await?.number().unwrap_or_default();
            sleep(EVERY).await;
        }
    };
    let look = async {
        while since.elapsed() < lasts || (most < 2 && since.elapsed() < SLOW) {
            let leading = join_all(fleet.beats().iter().map(leads)).await;
            most = most.max(leading.into_iter().filter(|leads| *leads).count());
        }
    };
    tokio::select! {
        failed = take => return failed,
        () = look => {}
    }
    stage.happened("two beats never led at once", most > 1)?;
    until_one_leads(&mut fleet).await?;
    table.fires_after(&fleet, Fleet::now(), Fleet::now).await?;
    let ended = table.stop(&mut fleet, Fleet::now).await?;
    table.spell(&Spell { began: Between(began, seen), ended });
    let mut finding = table.judged(&fleet, stage.look(), &mut chance).await?;
    finding.notes.push(format!("the lock was taken {taken} times, {most} beats led at once"));
    fleet.drain_workers().await?;
    Ok(finding)
}
