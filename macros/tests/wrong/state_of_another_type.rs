//! The state that was handed over is another one, and the part is not told how to be taken.

use leveret_worker::handler::{Handlers, State};
use leveret_worker::{Task, TaskError};

#[derive(serde::Serialize, serde::Deserialize, Task)]
#[task(kind = "email.welcome")]
struct Welcome {
    user_id: u64,
}

struct App;

#[derive(Clone)]
struct Mailer;

async fn welcome(args: Welcome, State(_): State<Mailer>) -> Result<u64, TaskError> {
    Ok(args.user_id)
}

fn main() {
    let _ = Handlers::new().state(App).handle(welcome);
}
