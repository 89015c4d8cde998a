//! Which days of a month the two day fields name, as bits: one look at a month, not at each day.

/// What the fields day of month and day of week say together. Days are bits 1 to 31, days of the
/// week bits 0 (Sunday) to 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Days {
    /// Days of the month by their number.
    pub(super) numbered: u32,
    /// Days before the last, bit 0 for the last: `L`, `L-3`.
    pub(super) from_last: u32,
    /// Days whose nearest workday counts: `15W`.
    pub(super) near: u32,
    /// Days before the last whose nearest workday counts: `LW`, `L-3W`.
    pub(super) near_from_last: u32,
    /// Days of the week: `FRI`.
    pub(super) weekdays: u8,
    /// Days of the week that are the last of the month: `5L`.
    pub(super) last_weekdays: u8,
    /// Days of the week that are the first to fifth of the month: `5#3`.
    pub(super) nth_weekdays: [u8; 5],
    pub(super) rule: Rule,
}

/// How the two day fields come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Rule {
    /// Every day.
    #[default]
    Every,
    /// Day of month alone.
    OfMonth,
    /// Day of week alone.
    OfWeek,
    /// Both have to match.
    Both,
    /// One of them has to match.
    Either,
}

impl Days {
    /// Returns the days of a month of `length` days whose first falls on the day of the week
    /// `first`.
    pub(super) fn of_month(&self, length: u32, first: u32) -> u32 {
        let days = match self.rule {
            Rule::Every => u32::MAX,
            Rule::OfMonth => self.by_month(length, first),
            Rule::OfWeek => self.by_week(length, first),
            Rule::Both => self.by_month(length, first) & self.by_week(length, first),
            Rule::Either => self.by_month(length, first) | self.by_week(length, first),
        };
        days & all(length)
    }

    fn by_month(&self, length: u32, first: u32) -> u32 {
        let mut days = self.numbered | mirrored(self.from_last, length);
        let mut near = (self.near | mirrored(self.near_from_last, length)) & all(length);
        while near != 0 {
            days |= 1 << nearest_workday(near.trailing_zeros(), length, first);
            near &= near - 1;
        }
        days
    }

    fn by_week(&self, length: u32, first: u32) -> u32 {
        let mut days = spread(self.weekdays, first);
        if self.last_weekdays != 0 {
            let last_week = all(length) & !all(length - 7);
            days |= spread(self.last_weekdays, first) & last_week;
        }
        for (week, weekdays) in (0..).zip(self.nth_weekdays) {
            days |= spread(weekdays, first) & (0b1111_1110 << (7 * week));
        }
        days
    }
}

/// Bits 1 to `length`.
const fn all(length: u32) -> u32 {
    (u32::MAX >> (31 - length)) & !1
}

/// Turns days before the last (bit 0 for the last) into days of a month.
const fn mirrored(from_last: u32, length: u32) -> u32 {
    // Bit 31 - n for n days before a 31st.
    (from_last.reverse_bits() >> (31 - length)) & !1
}

/// Puts days of the week on the days of a month that begins on the day of the week `first`.
const fn spread(weekdays: u8, first: u32) -> u32 {
    // Bit 0 for the day of the week of the first, then five weeks of it.
    let week = (weekdays as u64 | (weekdays as u64) << 7) >> first & 0x7f;
    let weeks = week | week << 7 | week << 14 | week << 21 | week << 28;
    (weeks << 1) as u32
}

/// Returns the workday (Monday to Friday) next to a day, in the same month.
const fn nearest_workday(day: u32, length: u32, first: u32) -> u32 {
    match (first + day - 1) % 7 {
        // Saturday.
        6 if day == 1 => 3,
        6 => day - 1,
        // Sunday.
        0 if day == length => day - 2,
        0 => day + 1,
        _ => day,
    }
}
