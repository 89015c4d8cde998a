//! A first corpus for each target from what the repository holds already: golden messages, examples of the
//! pages, tests of expressions.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use leveret_common::broker::rabbitmq::fuzzing::published;
use leveret_common::envelope::Wire;

/// Names the folder in which each target has its corpus.
const CORPUS: &str = "LEVERET_FUZZ_CORPUS";
/// Longest seed, in bytes.
const LONGEST: usize = 8 * 1024;

/// Writes the seeds of one target.
struct Corpus(PathBuf);

impl Corpus {
    fn of(corpus: &Path, target: &str) -> Self {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).expect("a corpus can be written");
        Self(folder)
    }

    fn add(&self, name: &str, seed: &[u8]) {
        let file = self.0.join(format!("seed-{name}"));
        if seed.len() <= LONGEST && !file.exists() {
            fs::write(file, seed).expect("a seed can be written");
        }
    }
}

/// The messages of the golden files, by name.
fn golden(root: &Path) -> BTreeMap<String, Wire> {
    let folder = root.join("common/tests/golden/envelope");
    let files = fs::read_dir(folder).expect("the golden files are there");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        let mut file: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).ok()?;
        let wire = serde_json::from_value(file.remove("in")?).ok()?;
        Some((path.file_stem()?.to_string_lossy().into_owned(), wire))
    };
    files.filter_map(|file| read(file.ok()?.path())).collect()
}

fn messages(root: &Path, corpus: &Path) -> usize {
    let [envelope, inlet, celery] = ["envelope", "inlet", "celery"].map(|t| Corpus::of(corpus, t));
    let golden = golden(root);
    for (name, wire) in &golden {
        if let Ok(text) = serde_json::to_vec(wire) {
            celery.add(name, &text);
        }
        let Some(payload) = published(wire) else { continue };
        let (Ok(short), Ok(long)) = (u16::try_from(payload.len()), u32::try_from(payload.len()))
        else {
            continue;
        };
        envelope.add(name, &[&short.to_be_bytes(), payload.as_slice(), &wire.body].concat());
        let deliver =
            b"\x01\0\x01\0\0\0\x17\0\x3c\0\x3c\x01t\0\0\0\0\0\0\0\x07\0\x03a.b\x04mail\xce";
        let head = [&[2, 0, 1], long.to_be_bytes().as_slice()].concat();
        let frames = [&[0x28, 0x28], deliver.as_slice(), &head, &payload, &[0xce]].concat();
        inlet.add(name, &frames);
    }
    golden.len()
}

/// Returns the blocks of a page, each with the word behind its fence.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let (mut blocks, mut open): (Vec<(&str, String)>, bool) = (Vec::new(), false);
    for line in page.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(word) if !open => {
                blocks.push((word, String::new()));
                open = true;
            }
            Some(_) => open = false,
            None if open => {
                if let Some((_, text)) = blocks.last_mut() {
                    *text += line;
                    text.push('\n');
                }
            }
            None => {}
        }
    }
    blocks
}

/// The texts between two marks of a page, such as what is written as code.
fn quoted(page: &str, mark: char) -> impl Iterator<Item = &str> {
    page.lines().flat_map(move |line| line.split(mark).skip(1).step_by(2))
}

fn pages(root: &Path, corpus: &Path) -> usize {
    let [config, schedules, filter, cron, cursor] =
        ["config", "schedules", "filter", "cron", "cursor"].map(|t| Corpus::of(corpus, t));
    let files = fs::read_dir(root.join("docs")).expect("the pages are there");
    let mut count = 0;
    for path in files.filter_map(|file| Some(file.ok()?.path())) {
        let Ok(page) = fs::read_to_string(&path) else { continue };
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        for (number, (word, text)) in blocks(&page).iter().enumerate() {
            if word.starts_with("toml") || word.starts_with("json") {
                config.add(&format!("{name}-{number}"), text.as_bytes());
                schedules.add(&format!("{name}-{number}"), text.as_bytes());
                count += 1;
            }
        }
        for (number, text) in quoted(&page, '`').filter(|text| text.len() < 80).enumerate() {
            let name = format!("{name}-{number}");
            if name.starts_with("filters") {
                filter.add(&name, text.as_bytes());
            }
            if name.starts_with("schedules") || name.starts_with("cron") {
                cron.add(&name, text.as_bytes());
            }
            if name.starts_with("protocol") {
                cursor.add(&name, text.as_bytes());
            }
        }
    }
    cursor.add("place", format!("{:016x}{}", 1_700_000_000_007_u64, "7".repeat(32)).as_bytes());
    count
}

/// Every text of the tests of expressions: accepted and refused ones.
fn expressions(root: &Path, corpus: &Path) {
    let cron = Corpus::of(corpus, "cron");
    let files = fs::read_dir(root.join("beat/src/expression")).expect("the expressions are there");
    for path in files.filter_map(|file| Some(file.ok()?.path())) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let name = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let texts = quoted(&text, '"').filter(|text| text.contains(' ') && text.len() < 60);
        for (number, text) in texts.enumerate().take(60) {
            cron.add(&format!("{}-{number}", name.as_deref().unwrap_or_default()), text.as_bytes());
        }
    }
}

/// Adds what is not there yet to the corpus of each target, where somebody named one.
///
/// # Panics
/// Where the repository has nothing to begin with, or the corpus cannot be written.
pub fn seed() {
    let Some(corpus) = std::env::var_os(CORPUS).map(PathBuf::from) else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (messages, pages) = (messages(&root, &corpus), pages(&root, &corpus));
    expressions(&root, &corpus);
    assert!(messages > 0 && pages > 0, "there is nothing to begin with");
}
