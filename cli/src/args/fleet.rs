//! The arguments of `leveret queue …` and of `leveret worker …`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    /// Lists the queues: what waits in them, since when, and who serves them
    List,
    /// Shows a queue with its lanes
    Show {
        /// The queue
        queue: String,
    },
    /// Lets no worker take tasks from queues; what runs goes on
    Pause {
        /// The queues
        #[arg(required = true, value_name = "QUEUE")]
        queues: Vec<String>,
        /// The reason, for whoever wonders
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Lets workers take tasks from queues again
    Resume {
        /// The queues
        #[arg(required = true, value_name = "QUEUE")]
        queues: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkerCommand {
    /// Lists the workers that live
    List,
    /// Shows a worker with its lanes and what it runs
    Show {
        /// The worker: its id, the beginning of its id, or host:pid
        worker: String,
    },
    /// Lets a worker take nothing new; what runs goes on
    Quiet(Addressed),
    /// Lets a worker take tasks again
    Resume(Addressed),
    /// Lets a worker run so many tasks at once
    Resize {
        #[command(flatten)]
        addressed: Addressed,
        /// How many
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
        slots: u32,
    },
    /// Lets a worker finish what runs, and end
    Stop(Addressed),
}

/// Which workers.
#[derive(Debug, Args)]
pub(crate) struct Addressed {
    /// The worker: its id, the beginning of its id, host:pid, or all
    pub(crate) worker: String,
    /// Does not ask before it speaks to all workers
    #[arg(long, short)]
    pub(crate) yes: bool,
}
