//! A program as its author would write one: handlers of its own behind the whole command line; with
//! the one argument `alone`, only `leveret::dev`. Only tests start it.

#![allow(clippy::print_stderr, reason = "a program tells people why it failed")]

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use leveret::Program;
use leveret::prelude::*;
use leveret::schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, JsonSchema, Task)]
#[task(kind = "email.welcome", aliases = ["mail.welcome"], queue = "mail", class = "high", schema)]
#[schemars(crate = "leveret::schemars")]
struct Welcome {
    #[schemars(range(min = 1))]
    user_id: u64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(kind = "order.pack", queue = "orders")]
struct Pack {
    order: u64,
}

#[derive(Serialize, Deserialize, Task)]
#[task(kind = "stock.count", queue = "stock")]
struct Count;

#[derive(Clone)]
struct Greeting(&'static str);

async fn welcome(args: Welcome, State(greeting): State<Greeting>) -> Result<String, TaskError> {
    Ok(format!("{}, {}", greeting.0, args.user_id))
}

/// Tells by a file that it runs, and ends when another file is there.
async fn pack(args: Pack) -> Result<u64, TaskError> {
    std::fs::write("runs", "")?;
    while !Path::new("free").exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(args.order)
}

async fn count(_: Count) -> Result<(), TaskError> {
    Ok(std::fs::write("counted", "")?)
}

#[allow(clippy::expect_used, reason = "the name is written here")]
fn handlers() -> Handlers<Greeting> {
    let kind = "stock.count".parse().expect("it is a name");
    let count_often = Definition::new("every 1s", kind);
    Handlers::new()
        .state(Greeting("hello"))
        .program("shop")
        .handle(welcome)
        .handle(pack)
        .handle(count)
        .schedule("stock.often", count_often)
}

#[tokio::main]
async fn alone() -> ExitCode {
    match leveret::dev(handlers()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            error.exit_code().into()
        }
    }
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("alone") {
        return alone();
    }
    Program::new(handlers()).main()
}
