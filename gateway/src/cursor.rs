//! Cursors: a place in the list of dead letters as opaque text.

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::store::Behind;

/// Writes a place: time of death and id, in hexadecimal digits.
pub(crate) fn write(place: &Behind) -> String {
    format!("{:016x}{}", place.died_at.0, place.id.uuid().simple())
}

/// Reads a place; nothing where the text is none of ours.
pub(crate) fn read(text: &str) -> Option<Behind> {
    let (died_at, id) = text.split_at_checked(16)?;
    let is_ours = text.len() == 48 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !is_ours {
        return None;
    }
    let died_at = Millis(u64::from_str_radix(died_at, 16).ok()?);
    let id: TaskId = id.parse().ok()?;
    Some(Behind { died_at, id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_back_and_other_text_is_not() {
        let place = Behind { died_at: Millis(1_700_000_000_007), id: TaskId::mint() };
        assert_eq!(read(&write(&place)), Some(place));
        for bad in ["", "7", "é", &"é".repeat(24), &"g".repeat(48), &"A".repeat(48)] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
