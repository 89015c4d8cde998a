//! Who acts: `user@host`, sent with every request, because what people do to tasks is recorded.

use nix::unistd::{Uid, User, gethostname};
use reqwest::header::HeaderValue;

/// The header that says who asks.
pub(super) const NAME: &str = "leveret-by";
/// Longest text of it.
const LONGEST: usize = 128;

/// Returns the header's value, where anything is known.
pub(super) fn header() -> Option<HeaderValue> {
    let uid = Uid::effective();
    let user = User::from_uid(uid).ok().flatten().map(|user| user.name);
    let user = user.unwrap_or_else(|| format!("uid-{uid}"));
    let host = gethostname().ok().and_then(|name| name.into_string().ok());
    HeaderValue::from_str(&text(&user, host.as_deref().unwrap_or("unknown-host"))).ok()
}

/// Puts the parts together and leaves out what is not visible ASCII.
fn text(user: &str, host: &str) -> String {
    let whole = format!("{user}@{host}");
    whole.chars().filter(char::is_ascii_graphic).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_actor_is_visible_text_of_a_bounded_length() {
        assert_eq!(text("ann", "box"), "ann@box");
        assert_eq!(text("an n\u{e9}", "b\nox"), "ann@box");
        assert_eq!(text(&"a".repeat(200), "box").len(), LONGEST);
        assert!(header().unwrap().to_str().unwrap().contains('@'));
    }
}
