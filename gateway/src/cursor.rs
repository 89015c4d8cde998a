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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_place_is_read_back_and_other_text_is_not() {
        let place = Behind { died_at: Millis(1_700_000_000_007), id: TaskId::mint() };
        assert_eq!(read(&write(&place)), Some(place));
        for bad in ["", "7", "é", &"é".repeat(24), &"g".repeat(48), &"A".repeat(48)] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    fn any_place() -> impl Strategy<Value = Behind> {
        (any::<u64>(), any::<u128>()).prop_map(|(died_at, id)| Behind {
            died_at: Millis(died_at),
            id: format!("{id:032x}").parse().unwrap(),
        })
    }

    proptest! {
        #[test]
        fn every_place_is_read_back(place in any_place()) {
            prop_assert_eq!(read(&write(&place)), Some(place));
        }

        #[test]
        fn a_text_is_the_place_that_was_written_so_or_none(
            text in prop_oneof!["[0-9a-f]{48}", "[0-9a-fA-F]{46,50}", ".{0,60}", "[0-9a-fé]{44,48}"],
        ) {
            if let Some(place) = read(&text) {
                prop_assert_eq!(write(&place), text);
            }
        }

        #[test]
        fn a_place_that_was_changed_is_not_the_same(place in any_place(), at in 0..48_usize, to: char) {
            let mut text: Vec<char> = write(&place).chars().collect();
            prop_assume!(text[at] != to);
            text[at] = to;
            prop_assert_ne!(read(&text.into_iter().collect::<String>()), Some(place));
        }
    }
}
