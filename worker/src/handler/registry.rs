//! Which kinds this worker performs, and how.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::name::KindName;
use leveret_common::retry::RetryPolicy;

use super::Handler;

/// A kind and everything a worker knows of it.
#[derive(Clone)]
pub struct Kind {
    /// Its name.
    pub name: KindName,
    /// What performs it.
    pub handler: Arc<dyn Handler>,
    /// What becomes of its failures.
    pub retry: RetryPolicy,
    /// The time limit of one attempt, where the task does not say otherwise.
    pub timeout: Duration,
}

/// The kinds of a worker, by name.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<KindName, Arc<Kind>>);

/// Tells why a kind cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The kind is there already.
    #[error("failed to register kind {0}: it has a handler already; remove one of the two")]
    Twice(KindName),
}

impl Registry {
    /// Adds a kind.
    ///
    /// # Errors
    /// When the kind has a handler already.
    pub fn add(&mut self, kind: Kind) -> Result<(), RegistryError> {
        if self.0.contains_key(&kind.name) {
            return Err(RegistryError::Twice(kind.name));
        }
        self.0.insert(kind.name.clone(), Arc::new(kind));
        Ok(())
    }

    /// Returns the kind of this name.
    #[must_use]
    pub fn find(&self, name: &KindName) -> Option<Arc<Kind>> {
        self.0.get(name).cloned()
    }

    /// Lists the names of all kinds.
    pub fn names(&self) -> impl Iterator<Item = &KindName> {
        self.0.keys()
    }
}
