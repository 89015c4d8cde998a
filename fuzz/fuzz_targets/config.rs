//! `leveret.toml` by anybody: settings or every problem at once, and a secret is never shown.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use leveret_common::config::{Sources, load};
use libfuzzer_sys::fuzz_target;

/// Where the file of this process is.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("leveret-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("there is a folder for temporary files");
    folder
});
/// A password in a URL or a token of its own that is found in what is printed.
const SECRET: &str = "s3cr3t-s3cr3t-s3cr3t";

fuzz_target!(init: leveret_fuzz::seed(), |text: &str| {
    let file = FOLDER.join("leveret.toml");
    std::fs::write(&file, text).expect("a file can be written");
    let sources = Sources { file: Some(file), working_dir: FOLDER.clone(), ..Sources::default() };
    match load(&sources) {
        Ok(loaded) => {
            let rows = loaded.rows();
            assert!(!rows.is_empty());
            // Where it is no part of a name or of a plain value, it stands in a secret.
            let is_secret = |key: &str| key == "broker.url" || key == "store.url";
            for row in rows.iter().filter(|row| is_secret(&row.key)) {
                let shown = row.value.as_deref().unwrap_or_default();
                assert!(!shown.contains(&format!(":{SECRET}@")), "{} shows {shown}", row.key);
            }
        }
        Err(problems) => assert!(!problems.to_string().is_empty()),
    }
});
