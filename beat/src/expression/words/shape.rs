//! The shape of a set of numbers: what makes the difference between a list and `every 15`.

/// How the values of a field lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// All values.
    Every,
    /// One.
    One(u8),
    /// At least three that follow one another. The first is the greater one where they go round
    /// the end of the field.
    Range(u8, u8),
    /// At least three at one distance; or, where they go round the field evenly, two.
    Steps { first: u8, last: u8, step: u8, is_even: bool },
    /// Anything else.
    List,
}

/// Finds the shape of `set` in a field of `first` to `last`. Only where a field goes round may
/// values follow one another across its end.
pub(super) fn shape(set: u64, first: u8, last: u8, goes_round: bool) -> Shape {
    let members: Vec<u8> = values(set).collect();
    let (Some(&low), Some(&high)) = (members.first(), members.last()) else { return Shape::List };
    let size = last - first + 1;
    if members.len() == usize::from(size) {
        return Shape::Every;
    }
    if low == high {
        return Shape::One(low);
    }
    let step = members[1] - low;
    let is_regular = members.windows(2).all(|pair| pair[1] - pair[0] == step);
    let is_even = is_regular && first + size - high + (low - first) == step;
    if is_regular && step == 1 && members.len() > 2 {
        return Shape::Range(low, high);
    }
    if is_regular && (is_even || members.len() > 2) {
        return Shape::Steps { first: low, last: high, step, is_even };
    }
    if goes_round && members.len() > 2 {
        let breaks = || members.windows(2).filter(|pair| pair[1] - pair[0] > 1);
        if let (Some(pair), 1, true, true) =
            (breaks().next(), breaks().count(), low == first, high == last)
        {
            return Shape::Range(pair[1], pair[0]);
        }
    }
    Shape::List
}

/// Lists the members of a set.
pub(super) fn values(set: u64) -> impl DoubleEndedIterator<Item = u8> {
    (0..64).filter(move |bit| set >> bit & 1 == 1)
}
