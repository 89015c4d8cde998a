//! The shape that a kind's args must have.
//!
//! Responsible for the question whether args fit, and for the one way to answer it: a JSON Schema,
//! from a file or made of a type (feature `schema`). Asked where tasks are put in, and again before they run, because
//! not everybody who enqueues asks. Guards: what is answered never quotes the args, and a schema
//! reads nothing but its own file; a remote `$ref` is an error.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::name::KindName;

/// Tells whether args fit.
pub trait Shape: Send + Sync + 'static {
    /// Looks at args, which are JSON.
    ///
    /// # Errors
    /// The first place that does not fit.
    fn check(&self, args: &[u8]) -> Result<(), Misfit>;
}

/// A place in args that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("args{path} do not fit the kind's schema: {why}")]
pub struct Misfit {
    /// Where: a JSON pointer, such as `/address/street`; empty for the whole.
    pub path: String,
    /// What the schema says, without the value.
    pub why: String,
}

/// Tells why a type's schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the schema of the args' type cannot be used: {0}; everything it refers to must be in it")]
pub struct Unusable(pub String);

/// The shapes of kinds, by name; a kind without one takes anything.
#[derive(Clone, Default)]
pub struct Shapes(BTreeMap<KindName, Arc<dyn Shape>>);

impl Shapes {
    /// Sets the shape of a kind.
    pub fn insert(&mut self, kind: KindName, shape: Arc<dyn Shape>) {
        self.0.insert(kind, shape);
    }

    /// Returns the shape of a kind.
    #[must_use]
    pub fn get(&self, kind: &KindName) -> Option<&Arc<dyn Shape>> {
        self.0.get(kind)
    }

    /// Takes the shapes of `others`; where both know a kind, these.
    pub fn extend(&mut self, others: &Self) {
        self.0.extend(others.0.iter().map(|(kind, shape)| (kind.clone(), Arc::clone(shape))));
    }

    /// Looks at the args of a task of `kind`.
    ///
    /// # Errors
    /// The first place that does not fit.
    pub fn check(&self, kind: &KindName, args: &[u8]) -> Result<(), Misfit> {
        self.get(kind).map_or(Ok(()), |shape| shape.check(args))
    }
}

impl fmt::Debug for Shapes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}

/// The same shapes of the same kinds.
impl PartialEq for Shapes {
    fn eq(&self, other: &Self) -> bool {
        let same = |((name, shape), (others, of_other)): ((&KindName, _), (&KindName, _))| {
            name == others && Arc::ptr_eq(shape, of_other)
        };
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(same)
    }
}

impl Eq for Shapes {}

#[cfg(feature = "schema")]
pub use self::schema::{Schema, SchemaError};

#[cfg(feature = "schema")]
mod schema {
    use std::fs::File;
    use std::io::{self, Read};
    use std::path::{Path, PathBuf};

    use jsonschema::{PatternOptions, ValidationError, Validator};
    use serde_json::Value;

    use super::{Misfit, Shape, Unusable};

    /// Largest schema that is read, in bytes.
    const MAX_BYTES: u64 = 1 << 20;
    /// Longest sentence about a misfit, and longest path to it, in characters.
    const MAX_WHY: usize = 400;
    /// Largest args of which it is said where they do not fit, in bytes. Behind `anyOf` each place
    /// costs memory for the whole path to it, and all of them are made.
    const MAX_EXPLAINED: usize = 8 * 1024;

    /// A shape that a JSON Schema describes.
    pub struct Schema(Validator);

    /// Tells why a schema cannot be used.
    #[derive(Debug, thiserror::Error)]
    pub enum SchemaError {
        /// The file cannot be read.
        #[error("failed to read the schema {}: {source}", path.display())]
        Read {
            /// The file.
            path: PathBuf,
            /// What the system said.
            source: io::Error,
        },
        /// It is not JSON.
        #[error("the schema {} is not JSON: {source}", path.display())]
        Json {
            /// The file.
            path: PathBuf,
            /// What is wrong.
            source: serde_json::Error,
        },
        /// It is no JSON Schema, or one that needs another document.
        #[error("the schema {} cannot be used: {why}; everything it refers to must be in it", path.display())]
        Schema {
            /// The file.
            path: PathBuf,
            /// What is wrong.
            why: String,
        },
    }

    impl Schema {
        /// Reads a schema of any draft from a file.
        ///
        /// # Errors
        /// [`SchemaError`], which names the file.
        pub fn read(path: &Path) -> Result<Self, SchemaError> {
            let owned = || path.to_owned();
            let text = read(path).map_err(|source| SchemaError::Read { path: owned(), source })?;
            let schema = serde_json::from_str(&text)
                .map_err(|source| SchemaError::Json { path: owned(), source })?;
            Self::of(&schema).map_err(|Unusable(why)| SchemaError::Schema { path: owned(), why })
        }

        /// Takes a schema of any draft.
        ///
        /// # Errors
        /// [`Unusable`], when it is no schema or needs another document.
        pub fn of(schema: &Value) -> Result<Self, Unusable> {
            // Whoever enqueues chooses the text that a pattern meets: no pattern may take long.
            let options = jsonschema::options().with_pattern_options(PatternOptions::regex());
            options.build(schema).map(Self).map_err(|error| Unusable(error.to_string()))
        }
    }

    fn read(path: &Path) -> io::Result<String> {
        let mut text = String::new();
        let size = File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
        if u64::try_from(size).is_ok_and(|size| size <= MAX_BYTES) {
            return Ok(text);
        }
        let why = format!("it is larger than {MAX_BYTES} bytes");
        Err(io::Error::new(io::ErrorKind::FileTooLarge, why))
    }

    impl Shape for Schema {
        fn check(&self, args: &[u8]) -> Result<(), Misfit> {
            let whole = |why: String| Misfit { path: String::new(), why };
            let size = args.len();
            let args: Value =
                serde_json::from_slice(args).map_err(|error| whole(error.to_string()))?;
            // Answered without a word on why: args made of mistakes would make a list of them many
            // times their size.
            if self.0.is_valid(&args) {
                return Ok(());
            }
            if size > MAX_EXPLAINED {
                let why = format!("they have {size} bytes, too many to say where");
                return Err(whole(why));
            }
            self.0.validate(&args).map_err(|error| misfit(&error))
        }
    }

    fn misfit(error: &ValidationError<'_>) -> Misfit {
        // Masked: the value may be nobody else's business.
        let cut = |text: String| text.chars().take(MAX_WHY).collect();
        let (path, why) = (error.instance_path().to_string(), error.masked().to_string());
        Misfit { path: cut(path), why: cut(why) }
    }

    #[cfg(test)]
    mod tests {
        use serde_json::json;

        use super::*;

        fn order() -> Schema {
            let schema = json!({
                "type": "object",
                "required": ["order"],
                "properties": {
                    "order": { "type": "integer", "minimum": 1 },
                    "to": { "$ref": "#/$defs/address" }
                },
                "additionalProperties": false,
                "$defs": {
                    "address": { "type": "object", "properties": { "city": { "pattern": "^[A-Z]" } } }
                }
            });
            Schema::of(&schema).unwrap()
        }

        fn misfit(args: &Value) -> Misfit {
            order().check(args.to_string().as_bytes()).unwrap_err()
        }

        #[test]
        fn args_that_fit_pass_and_others_are_told_where_they_do_not() {
            order().check(br#"{"order": 7, "to": {"city": "Oslo"}}"#).unwrap();
            let found = misfit(&json!({"order": "geheim"}));
            assert_eq!(
                (found.path.as_str(), found.why.as_str()),
                ("/order", "value is not of type \"integer\"")
            );
            assert_eq!(misfit(&json!({"order": 7, "to": {"city": "geheim"}})).path, "/to/city");
            let missing = misfit(&json!({}));
            assert_eq!(
                (missing.path.as_str(), missing.why.as_str()),
                ("", "\"order\" is a required property")
            );
            assert!(misfit(&json!({"order": 7, "colour": 1})).why.contains("'colour'"));
            assert_eq!(order().check(b"{").unwrap_err().path, "");
        }

        /// What lists of many sorts would make of this is gigabytes.
        #[test]
        fn large_args_full_of_mistakes_are_refused_without_a_list_of_them() {
            let list = json!({ "type": "array", "items": { "type": "string" } });
            for any in ["anyOf", "oneOf"] {
                let schema = json!({ "additionalProperties": { any: [list, { "type": "null" }] } });
                let schema = Schema::of(&schema).unwrap();
                let key = "a".repeat(500_000);
                let args = json!({ key: vec![0; 250_000] }).to_string();
                let found = schema.check(args.as_bytes()).unwrap_err();
                assert!(found.why.contains("too many to say where"), "{}", found.why);
                let args = json!({ "a".repeat(4_000): [0] }).to_string();
                let found = schema.check(args.as_bytes()).unwrap_err();
                assert!(found.to_string().len() < 1_000, "{found}");
            }
        }

        #[test]
        fn no_value_is_quoted() {
            for args in [
                json!({"order": "geheim"}),
                json!({"order": 7, "to": {"city": "geheim"}}),
                json!({"order": 7, "to": "geheim"}),
                json!(["geheim"]),
            ] {
                let told = misfit(&args).to_string();
                assert!(!told.contains("geheim"), "{told}");
            }
        }

        #[test]
        fn a_schema_that_needs_another_document_is_refused() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("schema.json");
            std::fs::write(folder.path().join("other.json"), "{}").unwrap();
            let other = format!("file://{}/other.json", folder.path().display());
            for remote in ["https://example.com/other.json", &other, "other.json"] {
                std::fs::write(&path, json!({"$ref": remote}).to_string()).unwrap();
                let error = Schema::read(&path).err().unwrap();
                assert!(matches!(error, SchemaError::Schema { .. }), "{remote}: {error}");
                assert!(error.to_string().contains("schema.json cannot be used"), "{error}");
            }
        }

        #[test]
        fn a_file_that_holds_no_schema_is_named() {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("schema.json");
            let told = || Schema::read(&path).err().unwrap().to_string();
            assert!(told().contains("failed to read the schema "), "{}", told());
            for (text, why) in [
                ("{", "is not JSON"),
                ("{\"type\": \"nothing\"}", "cannot be used"),
                ("{\"pattern\": \"(\"}", "cannot be used"),
            ] {
                std::fs::write(&path, text).unwrap();
                assert!(told().contains(why), "{text}: {}", told());
            }
            std::fs::write(&path, " ".repeat((1 << 20) + 1)).unwrap();
            assert!(told().contains("larger than"), "{}", told());
        }
    }
}
