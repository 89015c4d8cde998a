//! What a process counts of itself: read from its `/metrics`.

use crate::error::Error;
use crate::fleet::role::Role;

/// Returns the sum of a counter over all lines that hold `label`, such as `cause="version"`.
pub(super) async fn counted(role: &Role, name: &str, label: &str) -> Result<u64, Error> {
    let path = format!("{}/metrics", role.url());
    let said = |error: reqwest::Error| Error::unexpected(&path, error.to_string());
    let text = reqwest::get(&path).await.map_err(said)?.text().await.map_err(said)?;
    Ok(sum(&text, name, label))
}

/// Returns the same of several processes together.
pub(super) async fn counted_by(roles: &[Role], name: &str, label: &str) -> Result<u64, Error> {
    let mut whole = 0;
    for role in roles {
        whole += counted(role, name, label).await?;
    }
    Ok(whole)
}

fn sum(text: &str, name: &str, label: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{'));
    let values =
        lines.filter(|line| line.contains(label)).filter_map(|line| line.rsplit(' ').next());
    values.filter_map(|value| value.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_other_counters_and_labels_do_not_count() {
        let text = "parks_total{cause=\"a\",x=\"1\"} 2\nparks_total{cause=\"b\"} 4\n\
                    parks_total_of{cause=\"a\"} 8\nparks_total{cause=\"a\"} 16\n# parks_total";
        assert_eq!(sum(text, "parks_total", "cause=\"a\""), 18);
    }
}
