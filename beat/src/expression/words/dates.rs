//! Says the days: day of month and day of week, months and years.

use super::shape::{Shape, shape, values};
use super::{counted, listed, ordinal};
use crate::expression::days::{Days, Rule};
use crate::expression::wall::{FIRST_YEAR, LAST_YEAR, Wall};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// From Monday on: where the week begins decides how a list sounds.
const WEEKDAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const NTH: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];

/// Whether each day there is counts.
pub(super) fn is_each_day(wall: &Wall) -> bool {
    let months = shape(u64::from(wall.months), 1, 12, false);
    wall.days.rule == Rule::Every && months == Shape::Every && wall.years.is_none()
}

/// The months, as bits, and whether they may be said across the turn of the year: where years are
/// named as well, January and December of one are meant.
#[derive(Clone, Copy)]
struct Months {
    set: u16,
    go_round: bool,
}

/// Says on which days; that it is each day only where the times call for it.
pub(super) fn words(wall: &Wall, say_each_day: bool) -> String {
    let days = &wall.days;
    let months = Months { set: wall.months, go_round: wall.years.is_none() };
    let mut words = match days.rule {
        Rule::Every if say_each_day => format!(" each day{}", in_months(months)),
        Rule::Every => in_months(months),
        Rule::OfMonth => format!(" on {}", of_month(days, months)),
        Rule::OfWeek => format!(" on {}", of_week(days, months)),
        Rule::Both => {
            format!(" on {}, if that is {}", of_month(days, months), weekdays(days))
        }
        Rule::Either => {
            format!(" on {}, and on {}", of_month(days, months), of_week(days, months))
        }
    };
    words.push_str(&in_years(wall));
    words
}

/// `the 1st and the 15th of each month`.
fn of_month(days: &Days, months: Months) -> String {
    let the = |day: u8| format!("the {}", ordinal(day));
    let numbered = u64::from(days.numbered);
    let mut items = Vec::new();
    match shape(numbered, 1, 31, false) {
        Shape::Every => items.push("each day".to_owned()),
        Shape::Range(first, last) => items.push(format!("{} to {}", the(first), the(last))),
        Shape::Steps { first, last, step, .. } if numbered.count_ones() > 3 => {
            items.push(format!("every {} day from {} to {}", ordinal(step), the(first), the(last)));
        }
        Shape::One(_) | Shape::Steps { .. } | Shape::List => {
            items.extend(values(numbered).map(the))
        }
    }
    for day in values(u64::from(days.near)) {
        items.push(format!("the workday nearest to {}", the(day)));
    }
    for before in values(u64::from(days.from_last)).rev() {
        items.push(match before {
            0 => "the last day".to_owned(),
            before => format!("the day {} before the last", counted(u32::from(before), "day")),
        });
    }
    for before in values(u64::from(days.near_from_last)).rev() {
        items.push(match before {
            0 => "the last workday".to_owned(),
            before => {
                let before = counted(u32::from(before), "day");
                format!("the workday nearest to the day {before} before the last")
            }
        });
    }
    format!("{}{}", listed(items), of_months(months))
}

/// `Monday to Friday`, `the last Friday of each month`.
fn of_week(days: &Days, months: Months) -> String {
    let is_counted = days.last_weekdays != 0 || days.nth_weekdays != [0; 5];
    let months = if is_counted { of_months(months) } else { in_months(months) };
    format!("{}{months}", weekdays(days))
}

fn weekdays(days: &Days) -> String {
    let name = |day: u8| WEEKDAYS[usize::from(day)];
    let plain = from_monday(days.weekdays);
    let mut items: Vec<String> = match shape(plain, 0, 6, true) {
        Shape::Every => vec!["each day of the week".to_owned()],
        Shape::Range(first, last) => vec![format!("{} to {}", name(first), name(last))],
        Shape::One(_) | Shape::Steps { .. } | Shape::List => {
            values(plain).map(|day| name(day).to_owned()).collect()
        }
    };
    for (nth, set) in NTH.iter().zip(days.nth_weekdays) {
        items.extend(values(from_monday(set)).map(|day| format!("the {nth} {}", name(day))));
    }
    let last = values(from_monday(days.last_weekdays));
    items.extend(last.map(|day| format!("the last {}", name(day))));
    listed(items)
}

/// Turns bits from Sunday on into bits from Monday on.
fn from_monday(set: u8) -> u64 {
    u64::from(set >> 1 | (set & 1) << 6)
}

/// ` in June`, ` from June to August`; nothing for all months.
fn in_months(months: Months) -> String {
    match month_shape(months) {
        Shape::Every => String::new(),
        Shape::Range(first, last) => format!(" from {} to {}", month(first), month(last)),
        Shape::One(_) | Shape::Steps { .. } | Shape::List => format!(" in {}", month_list(months)),
    }
}

/// ` of each month`, ` of June`, ` of each month from June to August`.
fn of_months(months: Months) -> String {
    match month_shape(months) {
        Shape::Every => " of each month".to_owned(),
        Shape::Range(first, last) => {
            format!(" of each month from {} to {}", month(first), month(last))
        }
        Shape::One(_) | Shape::Steps { .. } | Shape::List => format!(" of {}", month_list(months)),
    }
}

fn month_shape(months: Months) -> Shape {
    shape(u64::from(months.set), 1, 12, months.go_round)
}

fn month_list(months: Months) -> String {
    listed(values(u64::from(months.set)).map(month))
}

fn month(number: u8) -> &'static str {
    MONTHS[usize::from(number) - 1]
}

fn in_years(wall: &Wall) -> String {
    let Some(years) = &wall.years else { return String::new() };
    let has = |year: &u16| {
        let bit = usize::from(year - FIRST_YEAR);
        years[bit / 64] >> (bit % 64) & 1 == 1
    };
    let years: Vec<u16> = (FIRST_YEAR..=LAST_YEAR).filter(has).collect();
    let (Some(first), Some(last)) = (years.first(), years.last()) else { return String::new() };
    let step = years.get(1).map_or(1, |second| second - first);
    let is_regular = years.len() > 2 && years.windows(2).all(|pair| pair[1] - pair[0] == step);
    match (is_regular, step) {
        (true, 1) if years.len() == usize::from(LAST_YEAR - FIRST_YEAR + 1) => String::new(),
        (true, 1) if *last == LAST_YEAR => format!(", from {first} on"),
        (true, 1) => format!(", from {first} to {last}"),
        (true, step) => {
            let step = ordinal(u8::try_from(step).unwrap_or(u8::MAX));
            format!(", in every {step} year from {first} to {last}")
        }
        (false, _) => format!(", in {}", listed(years)),
    }
}
