//! The settings of a program that is no command line: the same sources, without flags.

use leveret_common::config::{Problems, Settings, Sources, environment, load};

/// Reads `leveret.toml` in the working directory, where there is one, and the `LEVERET_*` variables of
/// the environment, as the command `leveret` does. Which there are, with their defaults and limits, is
/// in `docs/configuration.md`; a variable comes before the file.
///
/// # Errors
/// [`Problems`]: everything that is wrong with them.
///
/// # Examples
/// ```no_run
/// use std::sync::Arc;
///
/// use leveret::prelude::*;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let settings = leveret::settings()?;
/// let spawner = Spawner::new();
/// let backend = Backend::open(&settings, "shop", Arc::new(SystemClock), &spawner).await?;
/// let producer = Producer::new(backend.clone(), leveret::producer::Options::default());
/// producer.task("email.welcome", &7).await?;
/// backend.broker.close().await;
/// spawner.drained().await;
/// # Ok(())
/// # }
/// ```
pub fn settings() -> Result<Settings, Problems> {
    let sources =
        Sources { working_dir: ".".into(), environment: environment::read(), ..Sources::default() };
    Ok(load(&sources)?.settings)
}
