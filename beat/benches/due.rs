//! What the due set costs, beside a hierarchical wheel: the figures of decision 17.
//!
//! The wheel is the textbook's: eight levels of sixty-four places of 1 ms, a bit for each place that
//! holds something, rows taken out in constant time. Both hold 100,000 schedules with intervals
//! between a second and an hour.

#![allow(missing_docs, reason = "the macros of criterion write functions without any")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use leveret_beat::engine::due::DueSet;
use leveret_common::clock::Millis;

const ROWS: u32 = 100_000;
const FIRINGS: usize = 1_000;
const BEGIN: u64 = 1_798_804_800_000;
const LEVELS: usize = 8;

/// The interval of a row: spread evenly between a second and an hour.
fn interval(row: u32) -> u64 {
    1_000 + (u64::from(row) * 2_654_435_761) % 3_599_000
}

/// Where a row is: its level, its place in the level, and which of the place's rows it is.
type Seat = (usize, usize, usize);

struct Wheel {
    now: u64,
    places: Vec<[Vec<(u64, u32)>; 64]>,
    taken: [u64; LEVELS],
    seats: Vec<Option<Seat>>,
    ready: Vec<u32>,
}

impl Wheel {
    fn new(now: u64) -> Self {
        Self {
            now,
            places: (0..LEVELS).map(|_| std::array::from_fn(|_| Vec::new())).collect(),
            taken: [0; LEVELS],
            seats: vec![None; ROWS as usize],
            ready: Vec::new(),
        }
    }

    fn set(&mut self, row: u32, due: u64) {
        if let Some(seat) = self.seats[row as usize] {
            self.leave(seat);
        }
        let due = due.max(self.now + 1);
        let level = ((63 - (due ^ self.now).leading_zeros()) / 6) as usize;
        let place = (due >> (6 * level)) as usize & 63;
        self.seats[row as usize] = Some((level, place, self.places[level][place].len()));
        self.places[level][place].push((due, row));
        self.taken[level] |= 1 << place;
    }

    fn leave(&mut self, (level, place, index): Seat) {
        let rows = &mut self.places[level][place];
        rows.swap_remove(index);
        if let Some((_, moved)) = rows.get(index) {
            self.seats[*moved as usize] = Some((level, place, index));
        }
        if rows.is_empty() {
            self.taken[level] &= !(1 << place);
        }
    }

    /// Takes the next row, however far the wheel has to turn for it.
    fn take(&mut self) -> (u64, u32) {
        loop {
            if let Some(row) = self.ready.pop() {
                return (self.now, row);
            }
            let level = (0..LEVELS).find(|level| self.taken[*level] != 0).unwrap_or(0);
            let place = self.taken[level].trailing_zeros() as usize;
            let below = (1_u64 << (6 * (level + 1))) - 1;
            let at = (self.now & !below) | ((place as u64) << (6 * level));
            self.now = at;
            self.taken[level] &= !(1 << place);
            for (due, row) in std::mem::take(&mut self.places[level][place]) {
                self.seats[row as usize] = None;
                if due <= at { self.ready.push(row) } else { self.set(row, due) }
            }
        }
    }
}

fn full_set() -> DueSet {
    let mut set = DueSet::default();
    (0..ROWS).for_each(|row| set.set(row, Some(Millis(BEGIN + interval(row)))));
    set
}

fn full_wheel() -> Wheel {
    let mut wheel = Wheel::new(BEGIN);
    (0..ROWS).for_each(|row| wheel.set(row, BEGIN + interval(row)));
    wheel
}

fn due(criterion: &mut Criterion) {
    let mut fill = criterion.benchmark_group("fill with 100,000");
    fill.sample_size(20);
    fill.bench_function("ordered set", |b| b.iter(full_set));
    fill.bench_function("wheel", |b| b.iter(full_wheel));
    fill.finish();

    let mut fire = criterion.benchmark_group("fire 1,000 and set them again");
    let mut set = full_set();
    fire.bench_function("ordered set", |b| {
        b.iter(|| {
            for _ in 0..FIRINGS {
                let first = set.first().unwrap_or_default();
                let Some(row) = set.take(first) else { continue };
                set.set(black_box(row), Some(Millis(first.0 + interval(row))));
            }
        });
    });
    let mut wheel = full_wheel();
    fire.bench_function("wheel", |b| {
        b.iter(|| {
            for _ in 0..FIRINGS {
                let (now, row) = wheel.take();
                wheel.set(black_box(row), now + interval(row));
            }
        });
    });
    fire.finish();

    let mut jump = criterion.benchmark_group("the clock is set back an hour");
    jump.sample_size(20);
    let set = full_set();
    jump.bench_function("ordered set", |b| b.iter(|| black_box(&set).first()));
    // What a wheel holds is counted from its own time: all of it is hung anew.
    jump.bench_function("wheel", |b| b.iter(full_wheel));
    jump.finish();
}

criterion_group!(benches, due);
criterion_main!(benches);
