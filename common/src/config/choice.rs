//! Values that are chosen from a closed set of words.
//!
//! Responsible for the sets and their spelling. Reading one from a file or a variable is
//! `value`'s.

use crate::name::Class;

/// How a worker picks between the classes of its queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Picker {
    /// By share, so that a low class never starves.
    #[default]
    Weighted,
    /// Always the most urgent first.
    Strict,
}

/// The least severe level that is written to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogLevel {
    /// A human must act.
    Error,
    /// Something went wrong and was mended.
    Warn,
    /// The life of the process.
    #[default]
    Info,
    /// Each task.
    Debug,
    /// Each step of each task.
    Trace,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// As the program sees fit: text.
    #[default]
    Auto,
    /// Text for people.
    Text,
    /// One JSON object on each line.
    Json,
}

/// A closed set of words that a value is chosen from.
pub trait Choice: Copy + 'static {
    /// All members, in the order in which they are explained.
    const ALL: &'static [Self];

    /// Returns the word for this member.
    fn word(self) -> &'static str;
}

impl Choice for Picker {
    const ALL: &'static [Self] = &[Self::Weighted, Self::Strict];

    fn word(self) -> &'static str {
        match self {
            Self::Weighted => "weighted",
            Self::Strict => "strict",
        }
    }
}

impl Choice for LogLevel {
    const ALL: &'static [Self] = &[Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Choice for LogFormat {
    const ALL: &'static [Self] = &[Self::Auto, Self::Text, Self::Json];

    fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl Choice for Class {
    const ALL: &'static [Self] = &Self::ALL;

    fn word(self) -> &'static str {
        self.as_str()
    }
}
