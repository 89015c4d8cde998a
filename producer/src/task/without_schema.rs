//! What stands in the place of a type's shape in a program that was built without schemas.

use std::sync::OnceLock;

use super::Shaped;

/// Is there with the feature `schema` only.
#[diagnostic::on_unimplemented(
    message = "`#[task(schema)]` needs the feature `schema` of leveret",
    label = "this type's args are to have a schema"
)]
pub trait Describes {}

/// Makes no shape, and cannot be called.
pub fn shape_of<T: Describes>(_kept: &OnceLock<Shaped>) -> Shaped {
    Ok(None)
}
