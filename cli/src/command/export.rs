//! An export: NDJSON, one thing a line and a last line that says that it is whole.
//!
//! Guards that half an export is not taken for a whole one: a file gets its name only once its last
//! line is safe on disk, and an answer without a last line is a failure.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};

use crate::client::{Answers, Client, Refusal};
use crate::error::Error;
use crate::progress::Progress;
use crate::report::{self, Format};

/// What is exported.
pub(super) struct Export<'a> {
    /// As "failed to …" goes on.
    pub(super) operation: &'static str,
    /// The gateway's path.
    pub(super) path: &'a str,
    /// What a line is, in the plural.
    pub(super) noun: &'static str,
    /// Why an earlier export is not overwritten.
    pub(super) precious: &'static str,
}

impl Export<'_> {
    /// Exports to `file`, or to stdout.
    ///
    /// # Cancel safety
    /// Dropped, a part of the file may be left under the name `FILE.partial`.
    pub(super) async fn run(
        &self,
        file: Option<&Path>,
        client: &Client,
        format: Format,
    ) -> Result<(), Error> {
        if let Some(file) = file.filter(|file| file.exists()) {
            return Err(Error::Argument {
                what: "--file".to_owned(),
                why: format!(
                    "{} is there already; name another, or remove it: {}",
                    file.display(),
                    self.precious
                ),
            });
        }
        let answers = client.get_lines(self.operation, self.path).await?;
        let Some(file) = file else {
            self.copy(answers, &mut Stdout, client).await?;
            return Ok(());
        };
        let exported = self.write_file(answers, file, client).await?;
        let told = json!({ "file": file.display().to_string(), "exported": exported });
        Ok(report::one(format, &["file", "exported"], &told)?)
    }

    async fn write_file(
        &self,
        answers: Answers,
        file: &Path,
        client: &Client,
    ) -> Result<u64, Error> {
        let name = PathBuf::from(format!("{}.partial", file.display()));
        let opened = File::create(&name).await;
        let opened =
            opened.map_err(|error| Error::unreadable(&name.display().to_string(), &error))?;
        let mut partial = Partial { name, file: BufWriter::with_capacity(1 << 20, opened) };
        let exported = self.copy(answers, &mut partial, client).await?;
        let kept = async {
            partial.file.flush().await?;
            partial.file.get_ref().sync_all().await?;
            tokio::fs::rename(&partial.name, file).await
        };
        kept.await.map_err(|error| partial.failed(&error))?;
        Ok(exported)
    }

    /// Copies every line, the last one too, and returns how many things there were.
    async fn copy(
        &self,
        mut answers: Answers,
        to: &mut impl Sink,
        client: &Client,
    ) -> Result<u64, Error> {
        let bar = Progress::count(self.noun);
        let mut copied = 0_u64;
        while let Some(line) = answers.next().await? {
            if let Some(said) = said(&line) {
                bar.finish();
                if let Some(refusal) = Refusal::of_line(&said) {
                    let operation = answers.operation().clone();
                    return Err(Error::Refused { operation, refusal: Box::new(refusal) });
                }
                to.line(&line).await?;
                return Ok(said["exported"].as_u64().unwrap_or(copied));
            }
            if !to.line(&line).await? {
                return Ok(copied);
            }
            copied += 1;
            bar.more(1);
        }
        bar.finish();
        let why = format!("the answer broke off after {copied} {}", self.noun);
        let note = "what was written is not whole; begin again";
        Err(client.broken_off(answers.operation().clone(), why, note))
    }
}

/// Where lines are written.
trait Sink {
    /// Writes a line; false when nobody reads any more.
    async fn line(&mut self, line: &[u8]) -> Result<bool, Error>;
}

struct Stdout;

impl Sink for Stdout {
    async fn line(&mut self, line: &[u8]) -> Result<bool, Error> {
        Ok(report::raw_line(line)?)
    }
}

struct Partial {
    name: PathBuf,
    file: BufWriter<File>,
}

impl Partial {
    fn failed(&self, error: &std::io::Error) -> Error {
        Error::Argument {
            what: format!("--file {}", self.name.display()),
            why: format!("it cannot be written: {error}"),
        }
    }
}

impl Sink for Partial {
    async fn line(&mut self, line: &[u8]) -> Result<bool, Error> {
        let written = async {
            self.file.write_all(line).await?;
            self.file.write_all(b"\n").await
        };
        written.await.map(|()| true).map_err(|error| self.failed(&error))
    }
}

/// Reads what a line says of the export itself; nothing where it is one of the things.
pub(super) fn said(line: &[u8]) -> Option<Value> {
    // Longer than any problem, and far too short to be worth the reading where it is a letter.
    const SHORT: usize = 8 << 10;
    if line.len() > SHORT {
        return None;
    }
    let said: Value = serde_json::from_slice(line).ok()?;
    let is_thing = said.get("wire").or(said.get("definition")).is_some();
    (!is_thing && (said.get("finished").is_some() || said.get("error").is_some())).then_some(said)
}

/// Tells whether a line is the one that ends an export.
pub(super) fn is_last(line: &[u8]) -> bool {
    said(line).is_some_and(|said| said["finished"] == true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_export_is_told_apart_from_its_things() {
        let letter = br#"{"queue":"mail","wire":{"type":"finished","body":"{\"error\":1}"}}"#;
        assert_eq!(said(letter), None);
        let schedule = br#"{"name":"a","finished":true,"definition":{"when":"@daily"}}"#;
        assert_eq!(said(schedule), None);
        assert_eq!(said(br#"{"exported":2,"finished":true}"#).unwrap()["exported"], 2);
        assert!(said(br#"{"error":{"status":503}}"#).is_some());
        assert_eq!(said(b"not json"), None);
        assert!(is_last(br#"{"finished":true}"#) && !is_last(br#"{"error":{}}"#));
    }
}
