//! Says the times of a day: second, minute and hour together.

use super::shape::{Shape, shape, values};
use super::{counted, listed, ordinal};
use crate::expression::wall::Wall;

/// The hours of a day, as bits.
pub(super) const ALL_HOURS: u32 = 0x00ff_ffff;
/// Most times that are listed one by one where there is a shorter way.
const FEW: u32 = 4;

/// Says when on a day. Only where each day counts may hours be said across midnight: those behind it
/// belong to the next day.
pub(super) fn words(wall: &Wall, is_each_day: bool) -> String {
    let times = Times {
        wall,
        seconds: shape(wall.seconds, 0, 59, false),
        minutes: shape(wall.minutes, 0, 59, false),
        hours: shape(u64::from(wall.hours), 0, 23, is_each_day),
    };
    match times.seconds {
        Shape::One(second) => times.by_minute(second),
        _ => times.by_second(),
    }
}

struct Times<'w> {
    wall: &'w Wall,
    seconds: Shape,
    minutes: Shape,
    hours: Shape,
}

impl Times<'_> {
    /// Each minute has one second.
    fn by_minute(&self, second: u8) -> String {
        let count = self.wall.minutes.count_ones() * self.wall.hours.count_ones();
        match (self.minutes, self.hours) {
            (Shape::One(minute), hours) => self.by_hour(minute, second, hours),
            (Shape::Every | Shape::Steps { is_even: true, .. }, hours) => {
                let (first, last) = (lowest(self.wall.minutes), highest(self.wall.minutes));
                let head = repeated(self.minutes, "minute");
                match hours {
                    Shape::One(hour) => between(&head, (hour, hour), (first, last), second),
                    Shape::Range(from, to) => between(&head, (from, to), (first, last), second),
                    Shape::Every if first == 0 && second == 0 => head,
                    _ if self.parts().is_some() => self.in_parts(&head, (first, last), second),
                    _ if first == 0 && second == 0 => format!("{head} of {}", self.of_hours()),
                    _ => format!(
                        "{head} from {} on, of {}",
                        minute_of(first, second),
                        self.of_hours()
                    ),
                }
            }
            (Shape::Range(first, last) | Shape::Steps { first, last, .. }, Shape::One(hour)) => {
                between(&repeated(self.minutes, "minute"), (hour, hour), (first, last), second)
            }
            _ if count <= FEW => self.each_time(),
            (Shape::Range(first, last) | Shape::Steps { first, last, .. }, _) => {
                let head = repeated(self.minutes, "minute");
                let (first, last) = (minute_of(first, second), minute_of(last, second));
                let last = last.trim_start_matches("minute ");
                format!("{head} from {first} to {last} of {}", self.of_hours())
            }
            (Shape::List, Shape::One(_)) => self.each_time(),
            (Shape::List, _) if second == 0 => {
                format!("at minutes {} of {}", listed(values(self.wall.minutes)), self.of_hours())
            }
            (Shape::List, _) => {
                let minutes = listed(values(self.wall.minutes));
                format!("at second {second} of the minutes {minutes} of {}", self.of_hours())
            }
        }
    }

    /// Each hour has one time.
    fn by_hour(&self, minute: u8, second: u8, hours: Shape) -> String {
        match hours {
            Shape::Every if minute == 0 && second == 0 => "every hour".to_owned(),
            Shape::Every => {
                let parts = [(minute, "minute"), (second, "second")];
                let parts = parts.into_iter().filter(|(count, _)| *count > 0);
                let past = listed(parts.map(|(count, unit)| counted(u32::from(count), unit)));
                format!("at {past} past each hour")
            }
            Shape::Range(from, to) => between("every hour", (from, to), (minute, minute), second),
            _ if self.parts().is_some() => self.in_parts("every hour", (minute, minute), second),
            Shape::Steps { first, last, .. } if self.wall.hours.count_ones() > FEW => {
                let head = repeated(hours, "hour");
                between(&head, (first, last), (minute, minute), second)
            }
            Shape::One(_) | Shape::Steps { .. } | Shape::List => self.each_time(),
        }
    }

    /// Some minutes have several seconds.
    fn by_second(&self) -> String {
        let seconds = self.wall.seconds;
        let in_minutes = self.wall.minutes.count_ones() * self.wall.hours.count_ones();
        let is_even = matches!(self.seconds, Shape::Every | Shape::Steps { is_even: true, .. });
        if !is_even && in_minutes * seconds.count_ones() <= FEW {
            return self.each_time();
        }
        let (first, last) = (lowest(seconds), highest(seconds));
        let head = match self.seconds {
            Shape::Every => "every second".to_owned(),
            Shape::Steps { is_even: true, first: 0, .. } => repeated(self.seconds, "second"),
            Shape::Steps { .. } | Shape::Range(..) => {
                format!("{} from second {first} to {last}", repeated(self.seconds, "second"))
            }
            Shape::One(_) | Shape::List => format!("at seconds {}", listed(values(seconds))),
        };
        let starts_even = is_even && first == 0;
        match (self.minutes, self.hours) {
            (Shape::Every, Shape::Every) if starts_even => head,
            (Shape::Every, Shape::Every) => format!("{head} of each minute"),
            (Shape::Every, Shape::One(hour)) if starts_even => {
                format!("{head} from {} to {}", clock(hour, 0, first), clock(hour, 59, last))
            }
            (Shape::Every, Shape::Range(from, to)) if starts_even => {
                format!("{head} from {} to {}", clock(from, 0, first), clock(to, 59, last))
            }
            _ if in_minutes == 1 => {
                format!("{head} of the minute {}", listed(self.minutes_of_day()))
            }
            _ if in_minutes <= FEW => {
                format!("{head} of the minutes {}", listed(self.minutes_of_day()))
            }
            _ => format!("{head} of {} of {}", self.of_minutes(), self.of_hours()),
        }
    }

    /// The two parts of a day that hours across midnight fall into, as its hours are in their order.
    fn parts(&self) -> Option<[(u8, u8); 2]> {
        let Shape::Range(late, early) = shape(u64::from(self.wall.hours), 0, 23, true) else {
            return None;
        };
        (early > 0 && late < 23 && late > early).then_some([(0, early), (late, 23)])
    }

    /// `every hour from 00:00 to 04:00 and from 22:00 to 23:00`.
    fn in_parts(&self, head: &str, minutes: (u8, u8), second: u8) -> String {
        let parts = self.parts().into_iter().flatten();
        let parts = parts.map(|hours| between("", hours, minutes, second).trim().to_owned());
        format!("{head} {}", listed(parts))
    }

    fn each_time(&self) -> String {
        let seconds = values(self.wall.seconds);
        let seconds: Vec<u8> = seconds.collect();
        let times = self.times_of_day().flat_map(|(hour, minute)| {
            seconds.iter().map(move |second| clock(hour, minute, *second))
        });
        format!("at {}", listed(times))
    }

    fn minutes_of_day(&self) -> impl Iterator<Item = String> {
        self.times_of_day().map(|(hour, minute)| clock(hour, minute, 0))
    }

    fn times_of_day(&self) -> impl Iterator<Item = (u8, u8)> {
        let minutes = self.wall.minutes;
        values(u64::from(self.wall.hours))
            .flat_map(move |hour| values(minutes).map(move |minute| (hour, minute)))
    }

    fn of_minutes(&self) -> String {
        match self.minutes {
            Shape::Every => "each minute".to_owned(),
            Shape::One(minute) => format!("minute {minute}"),
            Shape::Range(first, last) => format!("the minutes {first} to {last}"),
            Shape::Steps { first, last, step, .. } => {
                format!("every {} minute from {first} to {last}", ordinal(step))
            }
            Shape::List => format!("the minutes {}", listed(values(self.wall.minutes))),
        }
    }

    fn of_hours(&self) -> String {
        match self.hours {
            Shape::Every => "each hour".to_owned(),
            Shape::One(hour) => format!("the hour {hour:02}"),
            Shape::Range(first, last) => format!("the hours {first:02} to {last:02}"),
            Shape::Steps { first, last, step, .. } if self.wall.hours.count_ones() > FEW => {
                format!("every {} hour from {first:02} to {last:02}", ordinal(step))
            }
            Shape::Steps { .. } | Shape::List => {
                let hours = values(u64::from(self.wall.hours)).map(|hour| format!("{hour:02}"));
                format!("the hours {}", listed(hours))
            }
        }
    }
}

/// `every minute`, `every 15 minutes`.
fn repeated(shape: Shape, unit: &str) -> String {
    match shape {
        Shape::Steps { step, .. } if step > 1 => format!("every {step} {unit}s"),
        Shape::Steps { .. } | Shape::Every | Shape::One(_) | Shape::Range(..) | Shape::List => {
            format!("every {unit}")
        }
    }
}

fn between(head: &str, hours: (u8, u8), minutes: (u8, u8), second: u8) -> String {
    let (from, to) = (clock(hours.0, minutes.0, second), clock(hours.1, minutes.1, second));
    format!("{head} from {from} to {to}")
}

fn minute_of(minute: u8, second: u8) -> String {
    if second == 0 { format!("minute {minute}") } else { format!("minute {minute}:{second:02}") }
}

fn clock(hour: u8, minute: u8, second: u8) -> String {
    if second == 0 {
        format!("{hour:02}:{minute:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}")
    }
}

const fn lowest(set: u64) -> u8 {
    set.trailing_zeros() as u8
}

const fn highest(set: u64) -> u8 {
    63 - set.leading_zeros() as u8
}
