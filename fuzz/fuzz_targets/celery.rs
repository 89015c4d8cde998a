//! A message of a Celery client, in the neutral form: one JSON document, as the golden files of the wire
//! format have it.

#![no_main]

use leveret_common::envelope::{Wire, decode, naturalise, wanted_class};
use leveret_common::name::Namespace;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: leveret_fuzz::seed(), |input: &[u8]| {
    let Ok(wire) = serde_json::from_slice::<Wire>(input) else { return };
    let _any = wanted_class(&wire);
    leveret_fuzz::read(&wire);
    // In our own words it says the same: a task stays a task, and a refusal a refusal.
    let namespace = Namespace::default();
    let (before, ours) = (decode(&namespace, &wire), naturalise(&namespace, wire));
    assert_eq!(before.is_ok(), decode(&namespace, &ours).is_ok(), "{before:?}");
});
