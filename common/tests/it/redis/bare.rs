//! A Redis of a test's own, and a bare connection to any: no client library in between.

use leveret_nodes::{Connection, Generation, Store, or_skip};

pub(super) use leveret_nodes::Reply;

/// A bare connection; what goes wrong with it fails the test.
pub(super) struct Bare(Connection);

impl Bare {
    pub(super) fn connect(url: &str) -> Self {
        Self(Connection::open(url).unwrap())
    }

    pub(super) fn ask(&mut self, words: &[&str]) -> Reply {
        self.0.ask(words).unwrap()
    }

    /// The server's time in µs.
    pub(super) fn time(&mut self) -> u64 {
        let Reply::List(parts) = self.ask(&["TIME"]) else { panic!("TIME answers a list") };
        let part = |index: usize| parts[index].clone().text().unwrap().parse::<u64>().unwrap();
        part(0) * 1_000_000 + part(1)
    }
}

/// Starts a server that only this test knows, without an append-only file unless it is asked for;
/// nothing, said aloud, where it is not installed.
pub(super) async fn start(arguments: &[&str]) -> Option<Store> {
    start_of(Generation::Old, arguments).await
}

/// The same of a generation.
pub(super) async fn start_of(generation: Generation, arguments: &[&str]) -> Option<Store> {
    let arguments = [&["--appendonly", "no"], arguments].concat();
    or_skip(Store::start_with(generation, &arguments).await)
}
