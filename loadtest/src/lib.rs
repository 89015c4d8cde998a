//! Prove it: load, latency, soak and chaos runs, and other queues measured beside Leveret.
//!
//! What does not exist yet: all of it. This crate has no code and Leveret publishes no figure for
//! its speed. It is a member of the workspace so that its place, and the rule that it alone may
//! import every other crate, are settled. What is tested today runs with `./test.sh`.
