//! What a shop does when somebody signs up: it says welcome, and asks a week later how it went.
//!
//! The program is here, its tests are in `tests/shop.rs`. Nothing here knows that it is tested: the
//! handlers take what sends mail as their state, and `sign_up` takes a producer.

use std::sync::Arc;
use std::time::Duration;

use leveret::prelude::*;
use serde::{Deserialize, Serialize};

/// How long a customer has before we ask.
pub const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// Says welcome to a customer.
#[derive(Debug, Serialize, Deserialize, Task)]
#[task(kind = "email.welcome", queue = "mail", max_attempts = 5)]
pub struct Welcome {
    /// The customer.
    pub user_id: u64,
    /// Where to.
    pub email: String,
}

/// Asks a customer how it went.
#[derive(Debug, Serialize, Deserialize, Task)]
#[task(kind = "email.survey", queue = "mail", class = "low")]
pub struct Survey {
    /// The customer.
    pub user_id: u64,
    /// Where to.
    pub email: String,
}

/// Sends mail.
pub trait Mail: Send + Sync {
    /// Sends a mail; one with the same key is sent once, however often it is asked for.
    ///
    /// # Errors
    /// When the mail server does not take it.
    fn send(&self, key: &str, to: &str, text: &str) -> std::io::Result<()>;
}

/// Lets a customer in.
///
/// # Errors
/// When the welcome could not be put in.
///
/// # Cancel safety
/// Dropped, the welcome may or may not have been put in; signing up again is one welcome.
pub async fn sign_up(producer: &Producer, user_id: u64, email: &str) -> Result<(), EnqueueError> {
    let welcome = Welcome { user_id, email: email.to_owned() };
    producer.enqueue(welcome).key(format!("user {user_id}")).await?;
    Ok(())
}

/// The handlers of the shop.
#[must_use]
pub fn handlers(mail: Arc<dyn Mail>) -> Handlers<Arc<dyn Mail>> {
    Handlers::new().state(mail).handle(welcome).handle(survey)
}

async fn welcome(
    task: Welcome,
    id: TaskId,
    State(mail): State<Arc<dyn Mail>>,
) -> Result<Reply, TaskError> {
    let Welcome { user_id, email } = task;
    if !email.contains('@') {
        return Err(TaskError::dead(format!("{email:?} is no address")));
    }
    // The task may run twice, and nobody should be greeted twice.
    mail.send(&id.to_string(), &email, "Welcome to the shop!")?;
    Ok(Reply::default().follow_up(Request::from(Survey { user_id, email }).delay(WEEK)))
}

async fn survey(
    task: Survey,
    id: TaskId,
    State(mail): State<Arc<dyn Mail>>,
) -> Result<(), TaskError> {
    mail.send(&id.to_string(), &task.email, "How did it go?")?;
    Ok(())
}
