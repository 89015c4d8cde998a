//! A long import that says how far it is, and goes on where it was when its worker dies.

use std::io::Write;
use std::time::Duration;

use leveret::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

/// How many rows are imported at a time, and saved as done together.
const PAGE: usize = 10;

#[derive(Serialize, Deserialize, Task)]
#[task(kind = "people.import", timeout = "10m")]
struct Import {
    file: String,
}

/// Where one attempt began, and how many rows there are.
#[derive(Serialize)]
struct Imported {
    began_at: usize,
    rows: usize,
}

async fn import(
    args: Import,
    mut checkpoint: Checkpoint<usize>,
    progress: Progress,
) -> Result<Imported, TaskError> {
    let text = std::fs::read_to_string(&args.file)?;
    let rows: Vec<&str> = text.lines().collect();
    let began_at = checkpoint.take().unwrap_or(0); // what the attempt before this one saved
    let mut done = began_at;
    for page in rows[began_at.min(rows.len())..].chunks(PAGE) {
        import_page(done, page).await?;
        done += page.len();
        checkpoint.save(&done).await?; // written when this returns
        progress.report((done * 100 / rows.len()) as u8, format!("row {done} of {}", rows.len()));
    }
    Ok(Imported { began_at, rows: rows.len() })
}

/// Puts rows where they belong. Killed between this and the `save` behind it, a page comes again, so
/// what this does to a row must bear being done twice.
async fn import_page(first: usize, rows: &[&str]) -> std::io::Result<()> {
    sleep(Duration::from_millis(100)).await; // somebody else's database
    let mut log = std::fs::OpenOptions::new().create(true).append(true).open("imported.log")?;
    writeln!(log, "rows {first} to {}", first + rows.len() - 1)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    std::fs::write("import.pid", std::process::id().to_string())?; // for the kill in the README
    Ok(leveret::dev(Handlers::new().handle(import)).await?)
}
