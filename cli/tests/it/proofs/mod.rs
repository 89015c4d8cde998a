//! Proofs: the promises with their full numbers. Each takes minutes and the whole machine, so they
//! are built with `--features proofs` only and run by name, one at a time.

mod story;
