//! Keeps `docs/protocol.md` complete: what another language has to know is on that page.

use leveret_common::envelope::{DeadReason, header};

const PAGE: &str = include_str!("../../../docs/protocol.md");

#[test]
fn every_header_has_a_row_with_type_default_maximum_and_setter() {
    for name in header::KNOWN {
        let start = format!("| `{name}` |");
        let row = PAGE.lines().find(|line| line.starts_with(&start));
        let row = row.unwrap_or_else(|| panic!("docs/protocol.md has no row for {name}"));
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 6, "{row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
    }
}

#[test]
fn no_row_names_a_header_that_is_not_read() {
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `lv-"));
    for row in rows {
        let name = format!("lv-{}", row.split('`').next().unwrap());
        assert!(header::KNOWN.contains(&name.as_str()), "{name} is not a header of this version");
    }
}

#[test]
fn the_limits_on_the_page_are_those_of_the_code() {
    for (what, limit) in [
        ("attempts", header::MAX_MAX_ATTEMPTS as usize),
        ("tags", header::MAX_TAGS),
        ("unknown `lv-*` headers", header::MAX_EXTRA),
        ("nested", header::MAX_DEPTH),
    ] {
        let stated = PAGE
            .lines()
            .any(|line| line.contains(what) && line.replace(',', "").contains(&limit.to_string()));
        assert!(stated, "docs/protocol.md does not say that {what} has the limit {limit}");
    }
}

#[test]
fn every_dead_reason_that_a_message_can_lead_to_is_named() {
    for reason in DeadReason::ALL {
        assert!(PAGE.contains(&format!("`{reason}`")), "docs/protocol.md does not name {reason}");
    }
}
