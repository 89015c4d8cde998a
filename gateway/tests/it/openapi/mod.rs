//! The OpenAPI document: it is whole, it is true, and it can be read.

mod browser;
pub(crate) mod contract;
mod document;
mod property;
mod written;
