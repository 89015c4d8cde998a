//! Python and Node with the packages that the programs use, installed once into the target folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use leveret_common::id::TaskId;
use leveret_common::testkit::services::variable;

pub(crate) const REQUIREMENTS: &str = include_str!("clients/requirements.txt");
pub(crate) const PACKAGE: &str = include_str!("clients/package.json");

/// What runs programs of a language.
#[derive(Debug, Clone)]
pub(crate) struct Interpreter {
    pub(crate) program: PathBuf,
    pub(crate) variables: BTreeMap<&'static str, PathBuf>,
}

/// Returns Python with the packages, or nothing where that cannot be had.
pub(crate) fn python() -> Option<Interpreter> {
    static ONCE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let home = ONCE.get_or_init(|| {
        installed("python", REQUIREMENTS, |folder| {
            run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
            std::fs::write(folder.join("requirements.txt"), REQUIREMENTS)
                .map_err(|e| e.to_string())?;
            let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
            let python = folder.join("bin/python");
            run(Command::new(python).args(pip).arg(folder.join("requirements.txt")))
        })
    });
    let home = usable(home)?;
    Some(Interpreter { program: home.join("bin/python"), variables: BTreeMap::new() })
}

/// Returns Node with the packages, or nothing where that cannot be had.
pub(crate) fn node() -> Option<Interpreter> {
    static ONCE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let home = ONCE.get_or_init(|| {
        installed("node", PACKAGE, |folder| {
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            std::fs::write(folder.join("package.json"), PACKAGE).map_err(|e| e.to_string())?;
            let npm = ["install", "--no-audit", "--no-fund", "--loglevel", "error"];
            run(Command::new("npm").args(npm).current_dir(folder))
        })
    });
    let modules = usable(home)?.join("node_modules");
    Some(Interpreter { program: "node".into(), variables: [("NODE_PATH", modules)].into() })
}

/// Returns the folder of these packages, which `install` makes where it is not there yet. It is
/// made under another name, so that one that is half made is never used.
fn installed(
    language: &str,
    packages: &str,
    install: impl Fn(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let fingerprint = TaskId::of_bytes(packages.as_bytes()).to_string();
    let folder = super::cache().join(format!("{language}-{}", &fingerprint[..8]));
    if folder.exists() {
        return Ok(folder);
    }
    std::fs::create_dir_all(super::cache()).map_err(|error| error.to_string())?;
    let mine = folder.with_extension(format!("new-{}", std::process::id()));
    let made = install(&mine);
    // Where another process was faster, its folder is as good.
    if made.is_ok() && std::fs::rename(&mine, &folder).is_ok() || folder.exists() {
        return Ok(folder);
    }
    let _ = std::fs::remove_dir_all(&mine);
    made.map(|()| folder)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    output.status.success().then_some(()).ok_or_else(|| format!("{command:?}: {told}"))
}

/// Says aloud that packages cannot be had.
fn usable(home: &Result<PathBuf, String>) -> Option<&PathBuf> {
    match home {
        Ok(home) => Some(home),
        Err(why) => {
            assert!(variable("CI").as_deref() != Some("true"), "no client packages: {why}");
            println!("SKIPPED: the packages of the clients cannot be installed: {why}");
            None
        }
    }
}
