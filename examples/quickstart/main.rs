//! One kind, its handler, and everything that it takes in this process: tasks are in `leveret-data/`.

use std::sync::Arc;
use std::time::Duration;

use leveret::common::config::Settings;
use leveret::prelude::*;
use leveret::{producer, worker};
use serde::{Deserialize, Serialize};

/// The args of the kind `text.words`.
#[derive(Serialize, Deserialize, Task)]
#[task(kind = "text.words", max_attempts = 3, timeout = "10s")]
struct Words {
    text: String,
}

/// Performs it. What it returns is the result; an error is tried again, up to three times.
async fn words(args: Words, attempt: Attempt) -> Result<usize, TaskError> {
    println!("attempt {} of {}", attempt.number, attempt.max);
    if args.text.is_empty() {
        return Err(TaskError::dead("there is no text to count")); // no attempt would change that
    }
    Ok(args.text.split_whitespace().count())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let spawner = Spawner::new();
    let clock = Arc::new(SystemClock);
    let backend = Backend::open(&Settings::default(), "quickstart", clock, &spawner).await?;

    let handlers = Handlers::new().handle(words);
    let worker = Worker::new(backend.clone(), handlers, worker::Config::default())?;
    let stop = CancellationToken::new();
    let performing = spawner.spawn(worker.run(stop.clone()));

    let producer = Producer::new(backend.clone(), producer::Options::default());
    for text in ["to be or not to be", ""] {
        // On disk before this returns: kill the program from here on, and the next start performs it.
        let task = producer.enqueue(Words { text: text.to_owned() }).await?;
        if let Some(seen) = producer.wait(task.id, Duration::from_secs(30)).await? {
            println!("{text:?} is {}: {}", seen.state, seen.result.as_deref().unwrap_or("-"));
        }
    }

    stop.cancel(); // drains: takes nothing new, lets run what runs
    performing.await??;
    backend.broker.close().await;
    Ok(())
}
