//! Where the clients of servers and files may appear: each behind the seam that it implements.
//!
//! Knows four crates from outside; the order of our own is in [`super::imports`]. Guards that no vendor
//! type leaks into a seam, where it would give every backend that vendor's shape.

use super::imports::{dependencies, members};
use crate::tree::{Source, Tree, Violation};

/// A crate from outside, its name in code, and the one folder that may use it.
struct Vendor {
    package: &'static str,
    module: &'static str,
    home: &'static str,
    /// Members that use it for data of their own, which is not ours.
    guests: &'static [&'static str],
}

const VENDORS: [Vendor; 4] = [
    Vendor {
        package: "lapin",
        module: "lapin",
        home: "common/src/broker/rabbitmq/",
        // Whoever tries servers, or puts in what no producer would, needs a client without our care.
        guests: &["loadtest", "nodes"],
    },
    Vendor {
        package: "deadpool-redis",
        module: "deadpool_redis",
        home: "common/src/store/redis/",
        guests: &[],
    },
    Vendor {
        package: "rusqlite",
        module: "rusqlite",
        home: "common/src/embedded/",
        // An outbox is rows in an application's own file, written by that application's transaction.
        guests: &["examples", "outbox"],
    },
    // No backend of ours: an application's own server, with an outbox in it.
    Vendor {
        package: "tokio-postgres",
        module: "tokio_postgres",
        home: "outbox/src/",
        guests: &["examples"],
    },
];

impl Vendor {
    /// Whether a member holds its folder, or is a guest.
    fn may_be_of(&self, member: &str) -> bool {
        self.home.split('/').next() == Some(member) || self.guests.contains(&member)
    }
}

/// A vendor is a dependency of the crate that holds its folder, and `redis` of nobody: it comes with `deadpool-redis`, and
/// a second one would be a second version. So `redis::` in our code is always a module of ours.
pub(super) fn only_its_home_depends_on_a_vendor(tree: &Tree) -> Vec<Violation> {
    let members = match members(tree) {
        Ok(members) => members,
        Err(violation) => return vec![violation],
    };
    let mut violations = Vec::new();
    for member in members {
        let (source, _, names) = match dependencies(tree, &member) {
            Ok(read) => read,
            Err(violation) => {
                violations.push(violation);
                continue;
            }
        };
        let is_stray = |name: &String| {
            let found = VENDORS.iter().find(|vendor| vendor.package == name);
            found.is_some_and(|vendor| !vendor.may_be_of(&member))
        };
        for name in names.iter().filter(|name| *name == "redis" || is_stray(name)) {
            violations
                .push(source.violation(0, format!("depends on `{name}`: use the seams of common")));
        }
    }
    violations
}

/// Code names a vendor only below its home.
pub(super) fn a_vendor_is_used_in_its_own_folder(tree: &Tree) -> Vec<Violation> {
    tree.rust()
        .flat_map(|source| VENDORS.iter().flat_map(move |vendor| strays(source, vendor)))
        .collect()
}

fn strays(source: &Source, vendor: &Vendor) -> Vec<Violation> {
    let member = source.path.split('/').next().unwrap_or_default();
    if source.path.starts_with(vendor.home) || vendor.guests.contains(&member) {
        return Vec::new();
    }
    let what = format!("uses `{}` outside {}: take the seam instead", vendor.module, vendor.home);
    let lines = source.text.lines().enumerate();
    lines
        .filter(|(_, line)| is_used(line, vendor.module))
        .map(|(number, _)| source.violation(number, what.clone()))
        .collect()
}

/// Whether a line of code says `vendor::…`, `use vendor` or `extern crate vendor`; prose and texts such as a
/// log filter may name it.
fn is_used(line: &str, module: &str) -> bool {
    let in_name = |character: char| character.is_alphanumeric() || character == '_';
    !line.trim_start().starts_with("//")
        && line.match_indices(module).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + module.len()..]);
            let imported = ["use ", "use ::", "crate "].iter().any(|word| before.ends_with(word));
            !before.ends_with(in_name)
                && !after.starts_with(in_name)
                && (after.starts_with("::") || imported)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vendor_outside_its_folder_is_found() {
        for vendor in &VENDORS {
            let module = vendor.module;
            let text = format!(
                "//! {module}::Connection in prose.\nuse {module}::Connection;\nfn f(c: ::{module}::C) {{}}\n\
                 use {module} as client;\nuse {module};\nlet filter = \"{module}=warn\";\nmy_{module}::f();\n"
            );
            let home = format!("{}mod.rs", vendor.home);
            let tree = Tree::of(&[("common/src/broker/mod.rs", &text), (&home, &text)]);
            let found = a_vendor_is_used_in_its_own_folder(&tree);
            assert!(
                found.iter().all(|found| found.path == "common/src/broker/mod.rs"),
                "{found:?}"
            );
            let lines: Vec<_> = found.into_iter().filter_map(|found| found.line).collect();
            assert_eq!(lines, [2, 3, 4, 5], "{module}");
        }
    }

    #[test]
    fn a_vendor_in_another_crate_is_found() {
        let names = "lapin = \"4\"\ndeadpool-redis = \"0\"\nrusqlite = \"0\"\n";
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\nmembers = [\"common\", \"worker\"]\n"),
            ("common/Cargo.toml", &format!("[dependencies]\n{names}")),
            ("worker/Cargo.toml", &format!("[dev-dependencies]\n{names}")),
        ]);
        let found = only_its_home_depends_on_a_vendor(&tree);
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|found| found.path == "worker/Cargo.toml"), "{found:?}");
    }

    #[test]
    fn an_outbox_has_its_two_databases_and_nobody_else_has_a_server_of_theirs() {
        let manifest = "[dependencies]\nrusqlite = \"0\"\ntokio-postgres = \"0\"\nlapin = \"4\"\n";
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\nmembers = [\"common\", \"outbox\"]\n"),
            ("common/Cargo.toml", manifest),
            ("outbox/Cargo.toml", manifest),
        ]);
        let found = only_its_home_depends_on_a_vendor(&tree).into_iter();
        let found: Vec<_> = found.map(|found| (found.path, found.what)).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].0 == "common/Cargo.toml" && found[0].1.contains("tokio-postgres"));
        assert!(found[1].0 == "outbox/Cargo.toml" && found[1].1.contains("lapin"));
    }

    #[test]
    fn an_example_may_have_a_database_of_its_own_and_no_broker() {
        let manifest = "[dependencies]\nlapin = \"4\"\nrusqlite = \"0\"\n";
        let code = ["lapin", "rusqlite"].map(|vendor| format!("use {vendor};\n")).concat();
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\nmembers = [\"examples\"]\n"),
            ("examples/Cargo.toml", manifest),
            ("examples/x/main.rs", &code),
        ]);
        let found = only_its_home_depends_on_a_vendor(&tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("`lapin`"), "{found:?}");
        let found = a_vendor_is_used_in_its_own_folder(&tree);
        assert_eq!(found.into_iter().filter_map(|found| found.line).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn redis_itself_is_nobodys_dependency() {
        let tree = Tree::of(&[
            ("Cargo.toml", "[workspace]\nmembers = [\"common\"]\n"),
            ("common/Cargo.toml", "[dependencies]\nredis = \"1\"\n"),
        ]);
        assert_eq!(only_its_home_depends_on_a_vendor(&tree).len(), 1);
    }

    #[test]
    fn a_manifest_that_is_not_there_is_found() {
        let tree = Tree::of(&[("Cargo.toml", "[workspace]\nmembers = [\"worker\"]\n")]);
        assert_eq!(only_its_home_depends_on_a_vendor(&tree).len(), 1);
    }
}
