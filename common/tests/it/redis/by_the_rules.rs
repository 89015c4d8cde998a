//! The scripts against `ledger::rules`: random requests, the same answers and the same entries.
//!
//! The server's time is read back from what it answered or wrote, so nothing is left out of the
//! comparison: fences, times and remaining lives are compared as they are.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, Order};
use leveret_common::id::{Fence, Owner, TaskId, Token};
use leveret_common::ledger::rules::{self, Change};
use leveret_common::ledger::{
    Answer, Cancel, Cancelling, Claim, Decide, Decision, Ending, Entry, Failure, Held, Hold, Mark,
    Marking, Outcome, Release, Ruling, Running, Settled, Takeover, Toll, Waiting, packed,
};
use leveret_common::store::Ledger;
use leveret_common::testkit::services::{redis_7, redis_8};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::bare::{Bare, Reply};
use super::{Fixture, patient};

/// What a step does to the one task.
#[derive(Debug, Clone)]
enum Step {
    Write(Entry),
    Wipe,
    Claim(Asking),
    TakeOver { asking: Asking, expected: Pick, orphan: bool },
    Decide { pick: Pick, order: Order, decision: Decision },
    Mark { pick: Pick, order: Order, marking: Marking },
    Release(Pick),
    Reassert { pick: Pick, token: Token, order: Order, toll: Toll },
    Cancel { replay: u32, ttl: Duration },
}

#[derive(Debug, Clone)]
struct Asking {
    order: Order,
    owner: Owner,
    token: Token,
    expires_at: Option<Millis>,
    max_crashes: u32,
}

/// Which hold a request names, told when its turn comes.
#[derive(Debug, Clone)]
enum Pick {
    /// The entry's own, where it has one.
    Current,
    /// The one that the last crash was charged to.
    Charged,
    Other(Hold),
}

/// Either long past or far ahead of the server's clock, so that both arms of C6 are taken.
const FENCES: [u64; 3] = [5, 1_600_000_000_000_000, 4_000_000_000_000_000];

fn owners() -> [Owner; 2] {
    ["0a".repeat(16), "f7".repeat(16)].map(|text| text.parse().unwrap())
}

fn owner() -> impl Strategy<Value = Owner> {
    prop::sample::select(owners().to_vec())
}

fn fence() -> impl Strategy<Value = Fence> {
    prop::sample::select(FENCES.map(Fence).to_vec())
}

fn hold() -> impl Strategy<Value = Hold> {
    (owner(), fence()).prop_map(|(owner, fence)| Hold { owner, fence })
}

fn token() -> impl Strategy<Value = Token> {
    prop::sample::select(vec![Token(0), Token(7), Token(u64::MAX), Token(u64::MAX - 1)])
}

fn order() -> impl Strategy<Value = Order> {
    prop_oneof![
        20 => (0..3_u32, 1..4_u32).prop_map(|(replay, attempt)| Order { replay, attempt }),
        1 => Just(Order { replay: u32::MAX, attempt: u32::MAX }),
    ]
}

fn toll() -> impl Strategy<Value = Toll> {
    let charged = prop_oneof![Just(Fence(0)), fence()];
    let starts = prop_oneof![8 => 0..4_u32, 1 => Just(u32::MAX)];
    (starts, 0..4_u32, charged).prop_map(|(starts, crashes, charged)| Toll {
        starts,
        crashes,
        charged,
    })
}

fn decision() -> impl Strategy<Value = Decision> {
    let failure = Failure {
        class: "it's \"odd\" %s %d".to_owned(),
        message: "two\nlines  and \\ ä 漢 \u{0}".to_owned(),
        at: Millis(1_790_000_000_123),
    };
    let not_before = Millis(1_790_000_001_000);
    prop::sample::select(vec![
        Outcome::Done { result: None },
        Outcome::Done { result: Some("{\"a\": [1, 2.50, null]}".to_owned()) },
        Outcome::Retry { not_before, failure: failure.clone() },
        Outcome::Snooze { not_before },
        Outcome::Dead { reason: DeadReason::NoHandler, failure },
    ])
    .prop_map(|outcome| Decision { outcome, follow_ups: Vec::new() })
}

fn running() -> impl Strategy<Value = Running> {
    let claimed_at = prop::sample::select(FENCES.to_vec());
    (hold(), token(), claimed_at, order(), toll(), any::<bool>()).prop_map(
        |(hold, token, claimed_at, order, toll, cancel)| Running {
            hold,
            token,
            claimed_at,
            order,
            toll,
            cancel,
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    let endings = vec![
        Ending::Done,
        Ending::Dead(DeadReason::AttemptsExhausted),
        Ending::Cancelled,
        Ending::Expired,
    ];
    prop_oneof![
        3 => running().prop_map(Entry::Running),
        2 => (running(), decision()).prop_map(|(held, what)| Entry::Finishing(held, what)),
        2 => (order(), fence(), toll())
            .prop_map(|(order, fence, toll)| Entry::Waiting(Waiting { order, fence, toll })),
        1 => (0..3_u32, prop::sample::select(endings))
            .prop_map(|(replay, ending)| Entry::Settled(Settled { replay, ending })),
    ]
}

fn asking() -> impl Strategy<Value = Asking> {
    let expires_at = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Millis(1))),
        1 => Just(Some(Millis(4_000_000_000_000))),
        1 => Just(Some(Millis(u64::MAX))),
    ];
    (order(), owner(), token(), expires_at, 1..4_u32).prop_map(
        |(order, owner, token, expires_at, max_crashes)| Asking {
            order,
            owner,
            token,
            expires_at,
            max_crashes,
        },
    )
}

fn pick() -> impl Strategy<Value = Pick> {
    prop_oneof![4 => Just(Pick::Current), 2 => Just(Pick::Charged), 1 => hold().prop_map(Pick::Other)]
}

fn marking() -> impl Strategy<Value = Marking> {
    prop::sample::select(vec![Marking::Done, Marking::Waiting, Marking::Dead(DeadReason::MaxAge)])
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => entry().prop_map(Step::Write),
        1 => Just(Step::Wipe),
        4 => asking().prop_map(Step::Claim),
        4 => (asking(), pick(), any::<bool>())
            .prop_map(|(asking, expected, orphan)| Step::TakeOver { asking, expected, orphan }),
        3 => (pick(), order(), decision())
            .prop_map(|(pick, order, decision)| Step::Decide { pick, order, decision }),
        3 => (pick(), order(), marking())
            .prop_map(|(pick, order, marking)| Step::Mark { pick, order, marking }),
        2 => pick().prop_map(Step::Release),
        2 => (pick(), token(), order(), toll())
            .prop_map(|(pick, token, order, toll)| Step::Reassert { pick, token, order, toll }),
        // Shorter or longer than an entry is kept by any other step.
        2 => (order(), prop::sample::select(vec![500, 50_000])).prop_map(|(order, seconds)| {
            Step::Cancel { replay: order.replay, ttl: Duration::from_secs(seconds) }
        }),
    ]
}

/// What a request was answered, whatever its sort.
#[derive(Debug, Clone, PartialEq)]
enum Said {
    Answer(Answer),
    Ruling(Ruling),
    Cancelling(Cancelling),
    Nothing,
}

struct Comparison<'a> {
    fixture: &'a Fixture,
    bare: &'a mut Bare,
    id: TaskId,
    key: String,
    /// How long the entry should be kept from the last writing on.
    life: Duration,
}

impl Comparison<'_> {
    fn stored(&mut self) -> Option<Entry> {
        let text = self.bare.ask(&["GET", &self.key]).text();
        text.map(|text| packed::read(&text).expect("the scripts write entries"))
    }

    async fn step(&mut self, number: u32, step: Step) {
        let before = self.stored();
        let ttl = Duration::from_secs(1_000 + u64::from(number) * 100);
        let earliest = self.bare.time();
        let request = match step {
            Step::Write(entry) => {
                let life = ttl.as_millis().to_string();
                self.bare.ask(&["SET", &self.key, &packed::write(&entry), "PX", &life]);
                self.life = ttl;
                return;
            }
            Step::Wipe => {
                self.bare.ask(&["DEL", &self.key]);
                return;
            }
            step => self.request(step, before.as_ref(), ttl),
        };
        let said = request.send(self.fixture).await;
        let after = self.stored();
        let now = time_of(&said, before.as_ref(), after.as_ref(), earliest);
        assert!((earliest..=self.bare.time()).contains(&now), "the time read back is wrong");
        let (expected, change) = request.by_the_rules(before.as_ref(), now);
        assert_eq!(said, expected, "{request:?} on {before:?}");
        let expected = match change {
            Change::Keep => before.clone(),
            Change::Amend(entry) => Some(entry),
            Change::Put(entry, life) => {
                self.life = life;
                Some(entry)
            }
            Change::Prolong(entry, life) => {
                self.life = self.life.max(life);
                Some(entry)
            }
        };
        let texts = (after.as_ref().map(packed::write), expected.as_ref().map(packed::write));
        assert_eq!(texts.0, texts.1, "{request:?} on {before:?}");
        if after.is_some() {
            let left = self.bare.ask(&["PTTL", &self.key]).number().unwrap();
            let left = Duration::from_millis(u64::try_from(left).expect("every key ends"));
            let range = self.life.saturating_sub(Duration::from_secs(50))..=self.life;
            assert!(range.contains(&left), "{left:?} instead of {:?}: {request:?}", self.life);
        }
    }

    fn request(&self, step: Step, before: Option<&Entry>, ttl: Duration) -> Request {
        let id = self.id;
        let claim = |asking: Asking| Claim {
            id,
            order: asking.order,
            owner: asking.owner,
            token: asking.token,
            expires_at: asking.expires_at,
            max_crashes: asking.max_crashes,
            ttl,
        };
        match step {
            Step::Write(_) | Step::Wipe => unreachable!("not a request"),
            Step::Claim(asking) => Request::Claim(claim(asking)),
            Step::TakeOver { asking, expected, orphan } => Request::TakeOver(Takeover {
                claim: claim(asking),
                expected: resolve(&expected, before),
                orphan,
            }),
            Step::Decide { pick, order, decision } => {
                let hold = resolve(&pick, before);
                Request::Decide(Decide { id, hold, order, decision, ttl })
            }
            Step::Mark { pick, order, marking } => {
                let hold = resolve(&pick, before);
                Request::Mark(Mark { id, hold, order, marking, ttl })
            }
            Step::Release(pick) => {
                Request::Release(Release { id, hold: resolve(&pick, before), ttl })
            }
            Step::Reassert { pick, token, order, toll } => {
                let hold = resolve(&pick, before);
                Request::Reassert(Held { id, hold, token, order, toll, ttl })
            }
            Step::Cancel { replay, ttl } => Request::Cancel(Cancel { id, replay, ttl }),
        }
    }
}

fn resolve(pick: &Pick, entry: Option<&Entry>) -> Hold {
    let fallback = Hold { owner: owners()[0], fence: Fence(FENCES[1]) };
    match (pick, entry) {
        (Pick::Other(hold), _) => *hold,
        (Pick::Current, Some(Entry::Running(held) | Entry::Finishing(held, _))) => held.hold,
        (Pick::Charged, Some(Entry::Running(held) | Entry::Finishing(held, _))) => {
            Hold { owner: owners()[1], fence: held.toll.charged }
        }
        (Pick::Current, Some(Entry::Waiting(waiting))) => {
            Hold { owner: owners()[0], fence: waiting.fence }
        }
        (Pick::Charged, Some(Entry::Waiting(waiting))) => {
            Hold { owner: owners()[1], fence: waiting.toll.charged }
        }
        (Pick::Current | Pick::Charged, Some(Entry::Settled(_)) | None) => fallback,
    }
}

/// When the server did it, as far as that matters.
fn time_of(said: &Said, before: Option<&Entry>, after: Option<&Entry>, earliest: u64) -> u64 {
    let claimed_at = |entry: Option<&Entry>| match entry {
        Some(Entry::Running(held) | Entry::Finishing(held, _)) => Some(held.claimed_at),
        Some(Entry::Waiting(_) | Entry::Settled(_)) | None => None,
    };
    if let Said::Answer(Answer::Busy { age, .. }) = said
        && !age.is_zero()
    {
        return claimed_at(before).unwrap() + u64::try_from(age.as_micros()).unwrap();
    }
    claimed_at(after)
        .filter(|at| before != after && *at >= earliest && !FENCES.contains(at))
        .unwrap_or(earliest)
}

#[derive(Debug)]
enum Request {
    Claim(Claim),
    TakeOver(Takeover),
    Decide(Decide),
    Mark(Mark),
    Release(Release),
    Reassert(Held),
    Cancel(Cancel),
}

impl Request {
    async fn send(&self, fixture: &Fixture) -> Said {
        let redis = &fixture.redis;
        match self {
            Self::Claim(ask) => {
                Said::Answer(redis.claim(std::slice::from_ref(ask)).await.unwrap().remove(0))
            }
            Self::TakeOver(ask) => {
                Said::Answer(redis.take_over(std::slice::from_ref(ask)).await.unwrap().remove(0))
            }
            Self::Decide(ask) => {
                Said::Ruling(redis.decide(std::slice::from_ref(ask)).await.unwrap().remove(0))
            }
            Self::Mark(ask) => {
                Said::Ruling(redis.mark(std::slice::from_ref(ask)).await.unwrap().remove(0))
            }
            Self::Release(ask) => {
                Said::Ruling(redis.release(std::slice::from_ref(ask)).await.unwrap().remove(0))
            }
            Self::Reassert(ask) => {
                redis.reassert(std::slice::from_ref(ask)).await.unwrap();
                Said::Nothing
            }
            Self::Cancel(ask) => {
                Said::Cancelling(redis.cancel(std::slice::from_ref(ask)).await.unwrap().remove(0))
            }
        }
    }

    fn by_the_rules(&self, entry: Option<&Entry>, now: u64) -> (Said, Change) {
        let answer = |(answer, change)| (Said::Answer(answer), change);
        let ruling = |(ruling, change)| (Said::Ruling(ruling), change);
        match self {
            Self::Claim(ask) => answer(rules::claim(entry, ask, now)),
            Self::TakeOver(ask) => answer(rules::take_over(entry, ask, now)),
            Self::Decide(ask) => ruling(rules::decide(entry, ask, now)),
            Self::Mark(ask) => ruling(rules::mark(entry, ask)),
            Self::Release(ask) => ruling(rules::release(entry, ask)),
            Self::Reassert(ask) => (Said::Nothing, rules::reassert(entry, ask, now)),
            Self::Cancel(ask) => {
                let (cancelling, change) = rules::cancel(entry, ask);
                (Said::Cancelling(cancelling), change)
            }
        }
    }
}

fn compare(url: &str) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fixture = runtime.block_on(patient(url));
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let steps = prop::collection::vec(step(), 1..40);
    let outcome = TestRunner::new(config).run(&steps, |steps| {
        let id = TaskId::mint();
        let mut comparison = Comparison {
            fixture: &fixture,
            bare: &mut Bare::connect(url),
            id,
            key: fixture.key("t", id),
            life: Duration::ZERO,
        };
        for (number, step) in (0..).zip(steps) {
            runtime.block_on(comparison.step(number, step));
        }
        assert!(matches!(comparison.bare.ask(&["DEL", &comparison.key]), Reply::Number(_)));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn scripts_answer_and_write_as_the_rules_do_on_redis_7() {
    redis_7().iter().for_each(|url| compare(url));
}

#[test]
fn scripts_answer_and_write_as_the_rules_do_on_redis_8() {
    redis_8().iter().for_each(|url| compare(url));
}
