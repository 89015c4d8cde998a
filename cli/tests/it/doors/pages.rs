//! The programs of the documentation, as they stand there.

/// Where a page's programs are: each begins with a comment that names it.
pub(crate) struct Page(&'static str);

pub(crate) const AMQP: Page = Page(include_str!("../../../../docs/amqp.md"));
pub(crate) const CELERY: Page = Page(include_str!("../../../../docs/celery.md"));
pub(crate) const OUTBOX: Page = Page(include_str!("../../../../docs/outbox.md"));
pub(crate) const CLIENTS: Page = Page(include_str!("../../../../docs/clients.md"));
pub(crate) const CLIENTS_PYTHON: Page = Page(include_str!("../../../../clients/python/README.md"));
pub(crate) const CLIENTS_TYPESCRIPT: Page =
    Page(include_str!("../../../../clients/typescript/README.md"));

impl Page {
    /// Returns the program of this name.
    pub(crate) fn program(&self, name: &str) -> String {
        let blocks = self.0.split("\n```").skip(1).step_by(2);
        let found = blocks.filter_map(|block| block.split_once('\n')).find(|(_, program)| {
            let first = program.lines().next().unwrap_or_default();
            first.trim_start_matches(['#', '/', '-', ' ']) == name
        });
        let (_, program) = found.unwrap_or_else(|| panic!("no program {name} on the page"));
        format!("{program}\n")
    }
}
