//! Who may import whom among the crates of the workspace, read from their `Cargo.toml`.
//!
//! Knows only the crates of this workspace; crates from outside are in [`super::vendors`] and `deny.toml`.
//! Guards the order `common ← producer ← {beat ← {worker, gateway}, outbox} ← cli`.

use toml::Table;

use crate::tree::{Source, Tree, Violation};

/// Each folder of the workspace with the packages of the workspace that it may import.
const MAY_IMPORT: [(&str, &[&str]); 13] = [
    // Servers for the tests of each.
    ("nodes", &[]),
    ("common", &["leveret-nodes"]),
    // For its tests: a proc-macro that needed them would have them compiled twice.
    ("macros", &["leveret-common", "leveret-worker"]),
    ("producer", &["leveret-common", "leveret-macros"]),
    ("beat", &["leveret-common", "leveret-producer"]),
    ("worker", &["leveret-common", "leveret-macros", "leveret-producer", "leveret-beat"]),
    ("gateway", &["leveret-common", "leveret-producer", "leveret-beat"]),
    ("outbox", &["leveret-common", "leveret-producer"]),
    ("cli", &BELOW_CLI),
    (
        "loadtest",
        &[
            BELOW_CLI[0],
            BELOW_CLI[1],
            BELOW_CLI[2],
            BELOW_CLI[3],
            BELOW_CLI[4],
            BELOW_CLI[5],
            BELOW_CLI[6],
            BELOW_CLI[7],
            "leveret",
        ],
    ),
    // A program of a user's has the facade.
    ("examples", &["leveret"]),
    ("examples/testing", &["leveret"]),
    ("tidy", &[]),
];

const BELOW_CLI: [&str; 8] = [
    "leveret-nodes",
    "leveret-common",
    "leveret-macros",
    "leveret-producer",
    "leveret-beat",
    "leveret-worker",
    "leveret-gateway",
    "leveret-outbox",
];

/// A crate depends only on crates of the workspace that stand below it, in tests and build scripts too.
pub(super) fn crates_import_only_what_is_below_them(tree: &Tree) -> Vec<Violation> {
    let members = match members(tree) {
        Ok(members) => members,
        Err(violation) => return vec![violation],
    };
    members.iter().flat_map(|member| judge(tree, member)).collect()
}

/// Returns the folders of the workspace's crates.
pub(super) fn members(tree: &Tree) -> Result<Vec<String>, Violation> {
    let root = tree.source("Cargo.toml")?;
    let manifest = parse(root)?;
    let listed =
        manifest.get("workspace").and_then(|workspace| workspace.get("members")?.as_array());
    let members: Vec<_> = listed
        .into_iter()
        .flatten()
        .filter_map(|member| member.as_str().map(str::to_owned))
        .collect();
    if members.is_empty() {
        return Err(root.violation(0, "lists no workspace members"));
    }
    Ok(members)
}

/// Returns a crate's manifest and the names that its dependency tables list.
pub(super) fn dependencies<'t>(
    tree: &'t Tree,
    member: &str,
) -> Result<(&'t Source, Table, Vec<String>), Violation> {
    let source = tree.source(&format!("{member}/Cargo.toml"))?;
    let manifest = parse(source)?;
    let for_targets = manifest.get("target").and_then(|target| target.as_table());
    let per_target =
        for_targets.into_iter().flat_map(|all| all.values().filter_map(|one| one.as_table()));
    let names = std::iter::once(&manifest).chain(per_target).flat_map(names_in).collect();
    Ok((source, manifest, names))
}

fn judge(tree: &Tree, member: &str) -> Vec<Violation> {
    let (source, manifest, names) = match dependencies(tree, member) {
        Ok(read) => read,
        Err(violation) => return vec![violation],
    };
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(folder, _)| *folder == member) else {
        return vec![
            source.violation(0, "has no row in tidy's import rules: decide what it may import"),
        ];
    };
    let own_name = manifest.get("package").and_then(|package| package.get("name")?.as_str());
    names
        .iter()
        .filter(|name| *name == "leveret" || name.starts_with("leveret-"))
        // A crate's tests may ask for more of its own features.
        .filter(|name| Some(name.as_str()) != own_name && !allowed.contains(&name.as_str()))
        .map(|name| {
            source
                .violation(0, format!("`{member}` may not import `{name}`, which is not below it"))
        })
        .collect()
}

fn parse(source: &Source) -> Result<Table, Violation> {
    source.text.parse().map_err(|error: toml::de::Error| {
        source.violation(0, format!("is not TOML: {}", error.message()))
    })
}

/// Names of packages, also of those that the manifest calls something else.
fn names_in(table: &Table) -> Vec<String> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .into_iter()
        .filter_map(|kind| table.get(kind)?.as_table())
        .flatten()
        .map(|(key, value)| {
            value.get("package").and_then(|name| name.as_str()).unwrap_or(key).to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: (&str, &str) = ("Cargo.toml", "[workspace]\nmembers = [\"producer\"]\n");

    fn found(manifest: &str) -> Vec<String> {
        let tree = Tree::of(&[ROOT, ("producer/Cargo.toml", manifest)]);
        crates_import_only_what_is_below_them(&tree).into_iter().map(|found| found.what).collect()
    }

    #[test]
    fn an_import_from_above_is_found_in_every_table() {
        let what = ["`producer` may not import `leveret-worker`, which is not below it"];
        for table in [
            "dependencies",
            "dev-dependencies",
            "build-dependencies",
            "target.'cfg(unix)'.dependencies",
        ] {
            assert_eq!(
                found(&format!("[{table}]\nleveret-worker.workspace = true\n")),
                what,
                "{table}"
            );
        }
        assert_eq!(
            found("[dependencies]\nw = { package = \"leveret-worker\", path = \"../worker\" }\n"),
            what
        );
    }

    #[test]
    fn imports_from_below_and_of_itself_are_fine() {
        let manifest = "[package]\nname = \"leveret-producer\"\n[dependencies]\nleveret-common.workspace = true\n\
                        serde = \"1\"\n[dev-dependencies]\nleveret-producer = { path = \".\" }\n";
        assert_eq!(found(manifest), [""; 0]);
    }

    #[test]
    fn only_loadtest_and_examples_import_the_facade() {
        let folders = [("loadtest", 0), ("examples", 0), ("cli", 1), ("tidy", 1), ("common", 1)];
        for (folder, findings) in folders {
            let root = format!("[workspace]\nmembers = [\"{folder}\"]\n");
            let path = format!("{folder}/Cargo.toml");
            let tree =
                Tree::of(&[("Cargo.toml", &root), (&path, "[dependencies]\nleveret = \"1\"\n")]);
            assert_eq!(crates_import_only_what_is_below_them(&tree).len(), findings, "{folder}");
        }
    }

    #[test]
    fn a_member_without_a_rule_or_a_manifest_is_found() {
        let root = ("Cargo.toml", "[workspace]\nmembers = [\"new\", \"gone\"]\n");
        let tree = Tree::of(&[root, ("new/Cargo.toml", "")]);
        let places: Vec<_> = crates_import_only_what_is_below_them(&tree)
            .into_iter()
            .map(|found| found.path)
            .collect();
        assert_eq!(places, ["new/Cargo.toml", "gone/Cargo.toml"]);
        let tree = Tree::of(&[("Cargo.toml", "[workspace]\nmembers = []\n")]);
        assert_eq!(crates_import_only_what_is_below_them(&tree).len(), 1);
    }

    #[test]
    fn a_manifest_that_is_not_toml_is_found() {
        assert_eq!(found("[dependencies").len(), 1);
    }
}
