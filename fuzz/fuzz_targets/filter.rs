//! Filters, spans and sizes: what is understood is the same when it is read again, and what is not says
//! where.

#![no_main]

use std::time::Duration;

use leveret_common::duration;
use leveret_common::filter::{Filter, Subject};
use leveret_common::size::ByteSize;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: leveret_fuzz::seed(), |text: &str| {
    match text.parse::<Filter>() {
        Ok(filter) => {
            let tags = [("tenant".to_owned(), text.chars().take(40).collect())].into();
            let subject = Subject {
                id: "0192f0c1-2345-7abc-8def-0123456789ab".to_owned(),
                kind: "email.welcome",
                queue: "mail",
                error: "Connection refused by 10.0.0.1",
                tags: Some(&tags),
                age: Some(Duration::from_secs(7_200)),
                attempt: 3,
                ..Subject::default()
            };
            let again: Filter = filter.to_string().parse().expect("it was a filter before");
            assert_eq!(again, filter);
            assert_eq!(again.matches(&subject), filter.matches(&subject));
            let _any = filter.queues();
        }
        Err(error) => assert!((1..=text.chars().count().max(1)).contains(&error.column)),
    }
    if let Ok(span) = duration::parse(text) {
        assert_eq!(duration::parse(&duration::format(span)), Ok(span));
    }
    if let Ok(size) = text.parse::<ByteSize>() {
        assert_eq!(size.to_string().parse(), Ok(size));
    }
});
