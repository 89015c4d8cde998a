//! The stage of one play: servers of its own, proxies where they are wanted, and a fleet.

mod plan;
mod ring;
mod servers;

use std::sync::Arc;
use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use tokio::time::sleep;

use self::plan::apart;
pub use self::plan::{Cast, Plan, Proxied};
pub use self::ring::Ring;
use self::servers::{Brokers, Servers};
use super::row::Play;
use crate::error::Error;
use crate::fleet::producers::{Load, Producers};
use crate::fleet::program::Programs;
use crate::fleet::role::Role;
use crate::fleet::{Backend, Fleet, Settings, Ways};
use crate::ground::On;
use crate::node::{Broker, Disk, Store};
use crate::oracle::pace::recovered;
use crate::oracle::{Event, Finding};
use crate::proxy::Proxy;

/// How soon work has to go on as before (invariant I11).
const BACK: Duration = Duration::from_secs(30);
/// How often it is looked whether it does.
const LOOK: Duration = Duration::from_millis(500);
/// How many tasks `explain` is asked for after a fault.
const SAMPLE: usize = 8;

/// When the faults of a play began and were over.
#[derive(Debug, Clone, Copy)]
struct Harm {
    from: Millis,
    to: Option<Millis>,
}

/// The stage of one play.
pub struct Stage {
    // Before the servers, so that nobody complains at the end that they are gone.
    /// Its processes, its door, its journal.
    pub fleet: Fleet,
    servers: Option<Servers>,
    play: Play,
    chance: fastrand::Rng,
    loaded: Option<Millis>,
    harm: Option<Harm>,
    contradictions: Vec<String>,
    explained: usize,
}

impl Stage {
    /// Starts servers, proxies, the gateway, beats and workers, and waits until all are ready.
    ///
    /// # Errors
    /// When one of them does not start.
    ///
    /// # Cancel safety
    /// What was started is ended.
    pub async fn open(play: &Play, plan: Plan) -> Result<Self, Error> {
        play.say("starts its servers");
        let servers = Servers::start(play, &plan).await?;
        let ways = servers
            .as_ref()
            .map_or(Ways::all(&Backend::Embedded), |servers| servers.ways(plan.proxied));
        let programs = Programs::find()?;
        let program = match plan.cast {
            Cast::Shipped => programs.leveret,
            Cast::Trouble => programs.trouble,
        };
        let settings = apart(play, plan.settings);
        let mut fleet = Fleet::new(&play.folder.join("fleet"), &program, &ways, settings)?;
        if let Some(logs) = plan.logs {
            fleet.log_to(logs);
        }
        let mut stage = Self {
            fleet,
            servers,
            play: play.clone(),
            chance: play.chance(1),
            loaded: None,
            harm: None,
            contradictions: Vec::new(),
            explained: 0,
        };
        play.say("starts its fleet");
        stage.fleet.start_gateway("").await?;
        let workers = if play.on == On::Embedded { plan.workers.min(1) } else { plan.workers };
        for _ in 0..workers {
            stage.fleet.start_worker(&plan.failpoints).await?;
        }
        if play.on != On::Embedded {
            for _ in 0..plan.beats {
                stage.fleet.start_beat("").await?;
            }
        }
        Ok(stage)
    }

    /// Puts another fleet on the servers of this stage, in a namespace and a folder called `name`; none of its
    /// processes is started.
    ///
    /// # Errors
    /// When its folder cannot be written, or a program is missing.
    pub fn another_fleet(
        &self,
        name: &str,
        cast: Cast,
        settings: Settings,
    ) -> Result<Fleet, Error> {
        let programs = Programs::find()?;
        let program = match cast {
            Cast::Shipped => programs.leveret,
            Cast::Trouble => programs.trouble,
        };
        let ways = match &self.servers {
            None => Ways::all(&Backend::Embedded),
            Some(servers) => servers.ways(Proxied::Nobody),
        };
        let settings = apart(&self.play, Settings { namespace: name.to_owned(), ..settings });
        Fleet::new(&self.play.folder.join(name), &program, &ways, settings)
    }

    /// Returns the play.
    #[must_use]
    pub const fn play(&self) -> &Play {
        &self.play
    }

    /// Returns what chance goes by.
    pub const fn chance(&mut self) -> &mut fastrand::Rng {
        &mut self.chance
    }

    /// Tells people who watch what is done now.
    pub fn say(&self, what: impl Into<String>) {
        self.play.say(what);
    }

    /// Returns the broker.
    ///
    /// # Errors
    /// On the embedded backend, where it is a cluster, and where others play on the same broker.
    pub fn broker(&mut self) -> Result<&mut Broker, Error> {
        match self.servers.as_mut().map(|servers| &mut servers.broker) {
            Some(Brokers::One(broker)) => Arc::get_mut(broker)
                .ok_or_else(|| Error::unexpected("the broker", "is lent, and not to be harmed")),
            Some(Brokers::Several(_)) => {
                Err(Error::unexpected("the stage", "has no single broker; its plan has a cluster"))
            }
            None => Err(no_servers()),
        }
    }

    /// Returns the cluster of brokers.
    ///
    /// # Errors
    /// Where there is none.
    pub fn ring(&mut self) -> Result<&mut Ring, Error> {
        match self.servers.as_mut().map(|servers| &mut servers.broker) {
            Some(Brokers::Several(ring)) => Ok(ring),
            _ => Err(Error::unexpected("the stage", "has no cluster; its plan asks for none")),
        }
    }

    /// Returns the store.
    ///
    /// # Errors
    /// On the embedded backend.
    pub fn store(&mut self) -> Result<&mut Store, Error> {
        self.servers.as_mut().map(|servers| &mut servers.store).ok_or_else(no_servers)
    }

    /// Returns the broker to look into, where there is one.
    #[must_use]
    pub fn look(&self) -> Option<&Broker> {
        self.servers.as_ref().map(|servers| servers.broker.look())
    }

    /// Returns the small disks that broker and store are on.
    ///
    /// # Errors
    /// When they are on none.
    pub fn small_disks(&self) -> Result<(&Disk, &Disk), Error> {
        let servers = self.servers.as_ref().ok_or_else(no_servers)?;
        let both = servers.broker.look().disk().zip(servers.store.disk());
        both.ok_or_else(|| Error::unexpected("the stage", "has no small disks"))
    }

    /// Returns the proxy on the way to the broker.
    ///
    /// # Errors
    /// When nobody goes through it.
    pub fn to_broker(&self) -> Result<&Proxy, Error> {
        self.proxies().map(|(broker, _)| broker)
    }

    /// Returns the proxy on the way to the store.
    ///
    /// # Errors
    /// When nobody goes through it.
    pub fn to_store(&self) -> Result<&Proxy, Error> {
        self.proxies().map(|(_, store)| store)
    }

    /// Returns the workers.
    pub const fn workers(&mut self) -> &mut Vec<Role> {
        self.fleet.workers()
    }

    /// Writes down what was done.
    pub fn note(&self, event: Event) {
        self.fleet.log.note(event);
    }

    /// Puts one task in.
    ///
    /// # Errors
    /// As [`Fleet::put`].
    ///
    /// # Cancel safety
    /// As [`Fleet::put`].
    pub async fn put(&self, kind: &str) -> Result<TaskId, Error> {
        self.fleet.put(kind).await
    }

    /// Sets producers to work. What they begin with counts as the pace before the faults.
    pub fn load(&mut self, load: &Load) -> Producers {
        self.loaded = Some(Fleet::now());
        self.fleet.load(load, &mut self.chance)
    }

    /// Marks that the faults begin now: what ran by now is the pace to come back to.
    pub fn harmed(&mut self) {
        self.harm.get_or_insert(Harm { from: Fleet::now(), to: None });
    }

    /// Marks that the last fault is over; called again, a later one was.
    pub fn healed(&mut self) {
        let now = Fleet::now();
        self.harm.get_or_insert(Harm { from: now, to: None }).to = Some(now);
    }

    /// Asks `explain` for some tasks and remembers what it said wrongly. Where the gateway has no answer yet, it is not
    /// asked again.
    ///
    /// # Errors
    /// When the journal cannot be read.
    ///
    /// # Cancel safety
    /// It only asks.
    pub async fn ask_for_some(&mut self) -> Result<(), Error> {
        let found = self.fleet.explained(SAMPLE, false, &mut self.chance).await?;
        self.explained += found.asked;
        self.contradictions.extend(found.contradictions);
        Ok(())
    }

    /// Empties the store under everybody.
    ///
    /// # Errors
    /// When it does not answer, or on the embedded backend.
    ///
    /// # Cancel safety
    /// It may be emptied and not written down.
    pub async fn wipe(&mut self) -> Result<(), Error> {
        let at = Fleet::now();
        self.store()?.ask(&["FLUSHALL"]).await?;
        self.note(Event::Wiped { at });
        Ok(())
    }

    /// Waits until so many runs have begun.
    ///
    /// # Errors
    /// As [`Fleet::ran`].
    ///
    /// # Cancel safety
    /// It only looks.
    pub async fn ran(&self, at_least: usize) -> Result<(), Error> {
        self.fleet.ran(at_least).await
    }

    /// Fails the play where its fault did not happen, so that nothing passes by doing nothing.
    ///
    /// # Errors
    /// When it did not.
    pub fn happened(&self, what: &str, it_did: bool) -> Result<(), Error> {
        if it_did {
            return Ok(());
        }
        Err(Error::unexpected(self.play.name, format!("did not have its fault: {what}")))
    }

    /// Waits, where faults were marked, until work goes on as before; stops the producers, waits until all that was
    /// accepted is over and every queue is empty, for `deadline` at most, and judges.
    ///
    /// # Errors
    /// When gateway or broker cannot be asked, though nothing is wrong any more.
    ///
    /// # Cancel safety
    /// It only looks; the producers stop.
    pub async fn settle_down(
        &mut self,
        producers: Producers,
        deadline: Duration,
    ) -> Result<Finding, Error> {
        let recovered = self.back_to_pace().await?;
        self.say("waits until all is over");
        producers.stopped().await;
        let mut finding = self.judged(deadline).await?;
        match recovered {
            None => {}
            Some(Some(after)) => finding.recovered = Some(after),
            Some(None) => {
                finding.wrong.push(format!("not back to 80 % of the pace after {BACK:?}"))
            }
        }
        Ok(finding)
    }

    /// As [`Stage::settle_down`] where nobody puts tasks in any more.
    ///
    /// # Errors
    /// As [`Stage::settle_down`].
    ///
    /// # Cancel safety
    /// It only looks.
    pub async fn judged(&mut self, deadline: Duration) -> Result<Finding, Error> {
        let broker = self.servers.as_ref().map(|servers| servers.broker.look());
        let mut finding = self.fleet.settle_down(broker, deadline, &mut self.chance).await?;
        finding.wrong.append(&mut self.contradictions);
        if self.explained > 0 {
            finding.notes.push(format!("explain was asked {} times under faults", self.explained));
        }
        Ok(finding)
    }

    /// Tells how soon work went on as before; nothing where no faults were marked.
    async fn back_to_pace(&self) -> Result<Option<Option<Duration>>, Error> {
        let (Some(Harm { from, to: Some(to) }), Some(loaded)) = (self.harm, self.loaded) else {
            return Ok(None);
        };
        self.say("waits until work goes on as before");
        loop {
            let history = self.fleet.journal.read()?;
            let begins = history.all().map(|run| run.began).collect();
            let back = recovered(begins, loaded, from, to);
            if let Some(after) = back {
                return Ok(Some((after <= BACK).then_some(after)));
            }
            if Fleet::now().since(to) > BACK + Duration::from_secs(3) {
                return Ok(Some(None));
            }
            sleep(LOOK).await;
        }
    }

    fn proxies(&self) -> Result<&(Proxy, Proxy), Error> {
        let proxies = self.servers.as_ref().and_then(|servers| servers.proxies.as_ref());
        proxies
            .ok_or_else(|| Error::unexpected("the stage", "has no proxies; its plan asks for none"))
    }
}

fn no_servers() -> Error {
    Error::unexpected("the embedded backend", "has no servers")
}
