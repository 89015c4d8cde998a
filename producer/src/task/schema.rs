//! The shape that a type itself describes.

use std::sync::{Arc, OnceLock};

use leveret_common::shape::{Schema, Shape};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

use super::Shaped;

/// Makes the shape of `T` from its JSON Schema, once, and keeps it at `kept`: what `#[task(schema)]`
/// writes into [`Task::shape`](super::Task::shape).
///
/// # Errors
/// When the schema cannot be used, such as for a pattern that looks around.
///
/// # Examples
/// ```
/// use std::sync::OnceLock;
///
/// use leveret_producer::task::{Shaped, shape_of};
///
/// static SHAPE: OnceLock<Shaped> = OnceLock::new();
///
/// let shape = shape_of::<u8>(&SHAPE)?.expect("it has a shape");
/// assert!(shape.check(b"7").is_ok() && shape.check(b"-7").is_err());
/// # Ok::<(), leveret_producer::task::Unusable>(())
/// ```
pub fn shape_of<T: JsonSchema>(kept: &OnceLock<Shaped>) -> Shaped {
    let make = || {
        let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>();
        Schema::of(schema.as_value()).map(|schema| Some(Arc::new(schema) as Arc<dyn Shape>))
    };
    kept.get_or_init(make).clone()
}
