//! Features decide what is compiled: what a program pays that asks for a part only.

use std::collections::BTreeSet;
use std::process::Command;

use toml::Table;

const PAGE: &str = include_str!("../../../docs/programs.md");

/// Returns the names of the crates that a program compiles with these features, with their versions.
fn crates(features: &str) -> BTreeSet<String> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--offline", "--locked", "-p", "leveret", "--no-default-features"]);
    cargo.args(["--features", features, "-e", "normal", "--prefix", "none"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let tree = String::from_utf8(output.stdout).unwrap();
    let named = |line: &str| {
        let (name, rest) = line.split_once(" v")?;
        Some(format!("{name} {}", rest.split(' ').next()?))
    };
    tree.lines().filter_map(named).collect()
}

#[track_caller]
fn lacks(crates: &BTreeSet<String>, names: &[&str]) {
    for name in names {
        let found = crates.iter().find(|known| known.split(' ').next() == Some(name));
        assert_eq!(found, None);
    }
}

/// What only roles and commands need.
const OF_ROLES: [&str; 9] = [
    "axum",
    "clap",
    "comfy-table",
    "hyper",
    "indicatif",
    "jsonschema",
    "leveret-worker",
    "reqwest",
    "rusqlite",
];

#[test]
fn a_program_that_only_enqueues_compiles_few_crates() {
    let plain = crates("servers,config");
    println!("features servers, config: {} crates", plain.len());
    assert!((50..150).contains(&plain.len()), "{}: {plain:#?}", plain.len());
    lacks(&plain, &OF_ROLES);
    lacks(&plain, &["rustls"]);
    let secured = crates("servers,config,tls");
    println!("features servers, config, tls: {} crates", secured.len());
    assert!(secured.contains("leveret-producer 0.1.0"), "{secured:#?}");
    lacks(&secured, &OF_ROLES);
}

#[test]
fn a_program_with_handlers_compiles_neither_command_line_nor_gateway() {
    let embedded = crates("embedded,config,worker");
    println!("features embedded, config, worker: {} crates", embedded.len());
    lacks(&embedded, &["axum", "clap", "comfy-table", "hyper", "lapin", "redis", "reqwest"]);
}

/// Returns the rows of a table of the page, as their cells without backticks.
fn rows(header: &str) -> Vec<Vec<String>> {
    let (_, table) = PAGE.split_once(header).unwrap();
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cell = |text: &str| text.trim().replace('`', "");
    rows.map(|row| row.trim_matches('|').split('|').map(cell).collect()).collect()
}

#[test]
fn what_the_page_says_of_features_is_so() {
    let manifest: Table = include_str!("../../Cargo.toml").parse().unwrap();
    let features = manifest["features"].as_table().unwrap().keys();
    let for_tests = ["default", "failpoints", "proofs", "sabotage"];
    let real: BTreeSet<_> = features.filter(|name| !for_tests.contains(&name.as_str())).collect();
    let told = rows("| feature | brings |");
    let told: BTreeSet<_> = told.iter().map(|row| &row[0]).filter(|name| *name != "none").collect();
    assert_eq!(told, real);

    let counts = rows("| features | crates, about |");
    assert_eq!(counts.len(), 4);
    for row in counts {
        let (told, real) = (row[1].parse::<usize>().unwrap(), crates(&row[0]).len());
        // A library that takes one more in is no lie.
        assert!(told.abs_diff(real) * 20 <= told, "{}: {told} is told, {real} there are", row[0]);
    }
}
