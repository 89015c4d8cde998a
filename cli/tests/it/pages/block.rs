//! A page as its fenced blocks, each with what stands around it that says what to do with it.
//!
//! A block's marks are HTML comments right above it, which no reader sees:
//!
//! | mark | says |
//! | --- | --- |
//! | `not run: WHY` | it is left, and why |
//! | `first: COMMANDS` | what the prose has the reader do before it; there may be several |
//! | `for TEXT: COMMANDS` | `TEXT` is an example: what the commands print stands in its place |
//! | `exits: 6 5` | the codes of its commands that are not 0, in order |
//! | `dev ends` | after it, `leveret dev` is no more |
//! | `run: PROGRAM` | this program reads it and has to end well |
//! | `file: NAME` | it is written under this name; so is one whose first line is `# NAME`, or whose paragraph above names a `.toml` file |
//! | `output` | it is what the block before it prints; so is a `text` or `json` that follows an `sh` at once |

use std::path::Path;

/// One fenced block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) page: String,
    /// The line of its fence, from 1.
    pub(super) line: usize,
    /// The first word of its info string.
    pub(super) language: String,
    /// The whole info string.
    pub(super) info: String,
    pub(super) text: String,
    pub(super) marks: Vec<(String, String)>,
    /// The paragraph right above it.
    above: String,
    /// Whether nothing but blank lines stands between it and the block before.
    follows: bool,
}

impl Block {
    /// Returns what a mark says.
    pub(super) fn mark(&self, name: &str) -> Option<&str> {
        let mark = self.marks.iter().find(|(mark, _)| mark == name)?;
        Some(mark.1.as_str())
    }

    /// Returns what all marks of a name say.
    pub(super) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'b str> {
        self.marks.iter().filter(move |(mark, _)| mark == name).map(|(_, said)| said.as_str())
    }

    /// Returns the examples in it, each with the commands that print what stands in its place.
    pub(super) fn examples(&self) -> impl Iterator<Item = (&str, &str)> {
        self.marks
            .iter()
            .filter_map(|(mark, said)| Some((mark.strip_prefix("for ")?, said.as_str())))
    }

    /// Tells whether it is what the block before it prints.
    pub(super) fn is_output_of(&self, before: &Self) -> bool {
        let is_shown = matches!(self.language.as_str(), "text" | "json");
        self.mark("output").is_some()
            || is_shown
                && self.follows
                && before.language == "sh"
                && before.mark("not run").is_none()
    }

    /// Returns the name of the program or file that it is, where its first line says one.
    pub(super) fn name(&self) -> Option<&str> {
        let first = self.text.lines().next().unwrap_or_default();
        let comment = ["# ", "// ", "-- "].iter().find_map(|mark| first.strip_prefix(mark));
        let name = comment.unwrap_or(first).trim();
        // A path from the root is a place on the reader's machine.
        let is_ours = !name.starts_with('/') && !name.contains([' ', ':']) && !name.contains("..");
        (first != name && name.contains('.') && is_ours).then_some(name)
    }

    /// Returns the name under which it is to be written. A configuration that names servers is for
    /// readers who have them.
    pub(super) fn file(&self) -> Option<&str> {
        if self.language == "toml" && self.text.contains("amqp://") {
            return None;
        }
        let told = || self.above.split('`').skip(1).step_by(2).find(|word| word.ends_with(".toml"));
        self.mark("file")
            .or_else(|| self.name())
            .or_else(|| told().filter(|_| self.language == "toml"))
    }
}

/// Reads the blocks of a page.
pub(super) fn read(page: &str, text: &str) -> Vec<Block> {
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (Vec::new(), None);
    let (mut above, mut marks, mut comment) = (String::new(), Vec::new(), None::<String>);
    let (mut blank, mut follows) = (true, false);
    for (number, line) in text.lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some(_)) => {
                blocks.extend(open.take());
                (above, blank, follows) = (String::new(), true, true);
            }
            (Some(block), None) => block.text.push_str(&format!("{line}\n")),
            (None, Some(info)) => {
                let language = info.split([',', ' ']).next().unwrap_or_default().to_owned();
                open = Some(Block {
                    page: page.to_owned(),
                    line: number + 1,
                    language,
                    info: info.to_owned(),
                    text: String::new(),
                    marks: std::mem::take(&mut marks),
                    above: std::mem::take(&mut above),
                    follows,
                });
            }
            (None, None) => {
                if comment.is_some() || line.trim_start().starts_with("<!--") {
                    let whole =
                        comment.take().map_or(line.to_owned(), |begun| format!("{begun}\n{line}"));
                    match whole.strip_suffix("-->") {
                        Some(whole) => marks.extend(mark(whole)),
                        None => comment = Some(whole),
                    }
                } else if line.trim().is_empty() {
                    blank = true;
                } else {
                    if std::mem::take(&mut blank) {
                        above.clear();
                        marks.clear();
                    }
                    follows = false;
                    above.push_str(&format!("{line}\n"));
                }
            }
        }
    }
    blocks
}

fn mark(comment: &str) -> Option<(String, String)> {
    let text = comment.trim_start().strip_prefix("<!--")?.trim();
    let (name, said) = text.split_once(": ").unwrap_or((text, ""));
    Some((name.to_owned(), said.to_owned()))
}

/// Reads every page below the root: its own, and those of the folders that people read. The README
/// of an example has marks of its own, and is played by `cli/tests/it/examples`.
pub(super) fn pages(root: &Path) -> Vec<(String, Vec<Block>)> {
    let folders = ["docs", "docker", "clients"].map(|folder| root.join(folder));
    let walks = folders.iter().flat_map(|folder| walkdir::WalkDir::new(folder).sort_by_file_name());
    let below = walks.filter_map(Result::ok).map(walkdir::DirEntry::into_path);
    let own = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md"]
        .into_iter()
        // No example of commands, but of tests, and so not played.
        .chain(["examples/testing/README.md"])
        .map(|name| root.join(name));
    let is_page = |path: &std::path::PathBuf| {
        path.extension().is_some_and(|end| end == "md")
            && !path.components().any(|part| {
                ["node_modules", "target"].map(Some).contains(&part.as_os_str().to_str())
            })
    };
    let pages = own.chain(below).filter(is_page);
    let read = |path: std::path::PathBuf| {
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        let blocks = read(&name, &std::fs::read_to_string(&path).unwrap());
        (name, blocks)
    };
    pages.map(read).filter(|(_, blocks)| !blocks.is_empty()).collect()
}

#[test]
fn a_page_is_read_with_what_stands_around_its_blocks() {
    let page = "Put this into `leveret.toml`:\n\n```toml\na = 1\n```\n\n<!-- exits: 6 -->\n<!-- first: cd .\n\
                ls -->\n```sh\nleveret dev\n```\n\n```json\n{}\n```\n\nWords.\n\n```json,x\n[]\n```\n";
    let blocks = read("p.md", page);
    let languages: Vec<_> = blocks.iter().map(|block| block.language.as_str()).collect();
    assert_eq!(languages, ["toml", "sh", "json", "json"]);
    assert_eq!(blocks[0].file(), Some("leveret.toml"));
    assert_eq!((blocks[1].line, blocks[1].mark("exits")), (10, Some("6")));
    assert_eq!(blocks[1].mark("first"), Some("cd .\nls"));
    assert_eq!(blocks[1].file(), None);
    assert!(blocks[2].is_output_of(&blocks[1]) && !blocks[3].is_output_of(&blocks[2]));
    let program = read("p.md", "Of `leveret.toml`.\n\n```js\n// add.js\nadd();\n```\n");
    assert_eq!(program[0].file(), Some("add.js"));
}
