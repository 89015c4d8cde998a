//! What stands in `#[task(…)]`, read and checked.
//!
//! All problems of a type are collected into one error, each at its own place. How the code looks is the
//! matter of [`super::write`].

use std::time::Duration;

use proc_macro2::Span;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, ExprLit, Fields, Ident, Lit, LitStr, Meta, Path, Token};

use crate::rules;

const NAMES: [&str; 10] = [
    "kind",
    "aliases",
    "queue",
    "class",
    "max_attempts",
    "backoff",
    "timeout",
    "redact",
    "schema",
    "crate",
];
const MAX_ATTEMPTS: u32 = 1_000;
const LONGEST_TIMEOUT: Duration = Duration::from_secs(30 * 86_400);
const MAX_DELAYS: usize = 100;

/// What was said about a kind.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) kind: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) queue: Option<String>,
    /// The class as it is called in code.
    pub(crate) class: Option<&'static str>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) redact: Vec<Ident>,
    pub(crate) schema: bool,
    /// The crate that the code uses.
    pub(crate) root: Option<Path>,
}

/// The waits between attempts.
pub(crate) enum Backoff {
    Exponential { base: Duration, factor: f64, max: Duration },
    Linear { base: Duration, step: Duration, max: Duration },
    Fixed { delay: Duration },
    List { delays: Vec<Duration> },
}

type Metas = Punctuated<Meta, Token![,]>;

/// Collects what is wrong.
#[derive(Default)]
struct Problems(Option<Error>);

impl Problems {
    fn add(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    fn take<T>(&mut self, read: Result<T, Error>) -> Option<T> {
        read.map_err(|error| self.add(error)).ok()
    }
}

impl Attributes {
    /// Reads the attributes of a type.
    pub(crate) fn read(input: &DeriveInput) -> Result<Self, Error> {
        let mut problems = Problems::default();
        let mut read = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("task")) {
            let metas = attribute.parse_args_with(Metas::parse_terminated);
            for meta in problems.take(metas).into_iter().flatten() {
                let name = name_of(&meta);
                if seen.contains(&name) {
                    let why = format!("`{name}` stands there twice; give it once");
                    problems.add(Error::new(meta.span(), why));
                    continue;
                }
                let taken = read.set(&name, &meta, input);
                problems.take(taken);
                seen.push(name);
            }
        }
        if !seen.iter().any(|name| name == "kind") {
            let why = "`kind` is missing: name the kind, such as #[task(kind = \"email.welcome\")]";
            problems.add(Error::new(input.ident.span(), why));
        }
        problems.0.map_or(Ok(read), Err)
    }

    fn set(&mut self, name: &str, meta: &Meta, input: &DeriveInput) -> Result<(), Error> {
        match name {
            "kind" => self.kind = checked(meta, "kind = \"email.welcome\"", rules::kind)?,
            "aliases" => self.aliases = aliases(meta)?,
            "queue" => self.queue = Some(checked(meta, "queue = \"mail\"", rules::queue)?),
            "class" => self.class = Some(class(meta)?),
            "max_attempts" => self.max_attempts = Some(attempts(meta)?),
            "backoff" => self.backoff = Some(backoff(meta)?),
            "timeout" => self.timeout = Some(timeout(meta)?),
            "redact" => self.redact = redact(meta, input)?,
            "schema" => self.schema = schema(meta, input)?,
            "crate" => self.root = Some(root(meta)?),
            other => {
                return Err(Error::new(meta.span(), rules::unknown("attribute", other, &NAMES)));
            }
        }
        Ok(())
    }
}

fn name_of(meta: &Meta) -> String {
    meta.path().to_token_stream().to_string()
}

/// Returns the value of `name = value`.
fn value<'a>(meta: &'a Meta, example: &str) -> Result<&'a Expr, Error> {
    match meta {
        Meta::NameValue(pair) => Ok(&pair.value),
        Meta::Path(_) | Meta::List(_) => Err(form(meta.span(), &name_of(meta), example)),
    }
}

fn form(at: Span, name: &str, example: &str) -> Error {
    Error::new(at, format!("`{name}` is written as {example}"))
}

fn text<'a>(expr: &'a Expr, name: &str, example: &str) -> Result<&'a LitStr, Error> {
    match expr {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
        _ => Err(form(expr.span(), name, example)),
    }
}

fn texts<'a>(meta: &'a Meta, example: &str) -> Result<Vec<&'a LitStr>, Error> {
    let value = value(meta, example)?;
    let Expr::Array(array) = value else {
        return Err(form(value.span(), &name_of(meta), example));
    };
    array.elems.iter().map(|element| text(element, &name_of(meta), example)).collect()
}

/// Names the attribute in front of what is wrong with its value.
fn at(text: &LitStr, name: &str, why: &str) -> Error {
    Error::new(text.span(), format!("`{name}` is {:?}: {why}", text.value()))
}

fn checked(
    meta: &Meta,
    example: &str,
    rule: fn(&str) -> Result<(), String>,
) -> Result<String, Error> {
    let name = name_of(meta);
    let text = text(value(meta, example)?, &name, example)?;
    rule(&text.value()).map_err(|why| at(text, &name, &why))?;
    Ok(text.value())
}

fn aliases(meta: &Meta) -> Result<Vec<String>, Error> {
    let mut problems = Problems::default();
    let mut aliases = Vec::new();
    for text in texts(meta, "aliases = [\"mail.welcome\"]")? {
        problems.take(rules::kind(&text.value()).map_err(|why| at(text, "aliases", &why)));
        aliases.push(text.value());
    }
    problems.0.map_or(Ok(aliases), Err)
}

fn class(meta: &Meta) -> Result<&'static str, Error> {
    let example = "class = \"high\"";
    let text = text(value(meta, example)?, "class", example)?;
    let (written, names) = (text.value(), rules::CLASSES.map(|(name, _)| name));
    let found = rules::CLASSES.into_iter().find(|(name, _)| *name == written);
    let unknown = || Error::new(text.span(), rules::unknown("class", &written, &names));
    found.map(|(_, code)| code).ok_or_else(unknown)
}

fn attempts(meta: &Meta) -> Result<u32, Error> {
    let example = "max_attempts = 8";
    let value = value(meta, example)?;
    let Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) = value else {
        return Err(form(value.span(), "max_attempts", example));
    };
    let within = number.base10_parse().ok().filter(|number| (1..=MAX_ATTEMPTS).contains(number));
    within.ok_or_else(|| {
        let why = format!("`max_attempts` is {number}: it must be within 1 and {MAX_ATTEMPTS}");
        Error::new(number.span(), why)
    })
}

fn duration(text: &LitStr, name: &str) -> Result<Duration, Error> {
    rules::duration(&text.value()).map_err(|why| at(text, name, &why))
}

fn timeout(meta: &Meta) -> Result<Duration, Error> {
    let example = "timeout = \"30s\"";
    let text = text(value(meta, example)?, "timeout", example)?;
    let timeout = duration(text, "timeout")?;
    if (Duration::from_millis(1)..=LONGEST_TIMEOUT).contains(&timeout) {
        return Ok(timeout);
    }
    Err(at(text, "timeout", "a time limit is within 1ms and 30d"))
}

fn redact(meta: &Meta, input: &DeriveInput) -> Result<Vec<Ident>, Error> {
    let Meta::List(list) = meta else {
        return Err(form(meta.span(), "redact", "redact(email, phone)"));
    };
    let names = list.parse_args_with(Punctuated::<Ident, Token![,]>::parse_terminated)?;
    let fields = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => Some(fields),
            Fields::Unnamed(_) | Fields::Unit => None,
        },
        Data::Enum(_) | Data::Union(_) => None,
    };
    let Some(fields) = fields else {
        return Err(Error::new(meta.span(), "`redact` needs a struct with named fields"));
    };
    let fields: Vec<String> =
        fields.named.iter().filter_map(|field| Some(field.ident.as_ref()?.to_string())).collect();
    let known: Vec<&str> = fields.iter().map(String::as_str).collect();
    let mut problems = Problems::default();
    for name in names.iter().filter(|name| !fields.contains(&name.to_string())) {
        problems.add(Error::new(name.span(), rules::unknown("field", &name.to_string(), &known)));
    }
    problems.0.map_or_else(|| Ok(names.into_iter().collect()), Err)
}

fn schema(meta: &Meta, input: &DeriveInput) -> Result<bool, Error> {
    let Meta::Path(_) = meta else {
        let why = "`schema` stands alone, as in #[task(kind = \"email.welcome\", schema)]: what args \
                   must be like is said to `schemars::JsonSchema`, which the type derives, too";
        return Err(Error::new(meta.span(), why));
    };
    // It is made once and kept, and a generic type has no place to keep one for each of its types.
    let generics = &input.generics;
    if generics.type_params().next().is_some() || generics.const_params().next().is_some() {
        let why = "`schema` needs a type without type or const parameters";
        return Err(Error::new(meta.span(), why));
    }
    Ok(true)
}

fn root(meta: &Meta) -> Result<Path, Error> {
    let example = "crate = \"shop::leveret\"";
    let text = text(value(meta, example)?, "crate", example)?;
    let path = text.parse_with(Path::parse_mod_style);
    path.map_err(|_| at(text, "crate", "it is the path of a crate, such as \"shop::leveret\""))
}

const CURVES: [&str; 4] = ["exponential", "linear", "fixed", "list"];
const CURVE_EXAMPLE: &str = "backoff(exponential, base = \"1s\", max = \"10m\")";

/// The parameters of a curve that were written.
#[derive(Default)]
struct Parameters {
    base: Option<Duration>,
    factor: Option<f64>,
    step: Option<Duration>,
    max: Option<Duration>,
    delay: Option<Duration>,
    delays: Option<Vec<Duration>>,
}

fn backoff(meta: &Meta) -> Result<Backoff, Error> {
    let Meta::List(list) = meta else {
        return Err(form(meta.span(), "backoff", CURVE_EXAMPLE));
    };
    let metas = list.parse_args_with(Metas::parse_terminated)?;
    let mut metas = metas.iter();
    let Some(Meta::Path(curve)) = metas.next() else {
        return Err(form(meta.span(), "backoff", CURVE_EXAMPLE));
    };
    let name = curve.to_token_stream().to_string();
    let takes: &[&str] = match name.as_str() {
        "exponential" => &["base", "factor", "max"],
        "linear" => &["base", "step", "max"],
        "fixed" => &["delay"],
        "list" => &["delays"],
        other => return Err(Error::new(curve.span(), rules::unknown("backoff", other, &CURVES))),
    };
    let mut problems = Problems::default();
    let mut parameters = Parameters::default();
    for meta in metas {
        problems.take(parameters.set(&name, takes, meta));
    }
    let made = problems.0.map_or(Ok(()), Err).map(|()| parameters.curve(&name));
    made?.map_err(|why| Error::new(meta.span(), format!("`backoff` {why}")))
}

impl Parameters {
    fn set(&mut self, curve: &str, takes: &[&str], meta: &Meta) -> Result<(), Error> {
        let name = name_of(meta);
        if !takes.contains(&name.as_str()) {
            let what = format!("`{curve}` parameter");
            return Err(Error::new(meta.span(), rules::unknown(&what, &name, takes)));
        }
        let span = || -> Result<_, Error> {
            let example = format!("{name} = \"30s\"");
            duration(text(value(meta, &example)?, &name, &example)?, &name)
        };
        match name.as_str() {
            "base" => self.base = Some(span()?),
            "step" => self.step = Some(span()?),
            "max" => self.max = Some(span()?),
            "delay" => self.delay = Some(span()?),
            "factor" => self.factor = Some(factor(meta)?),
            _ => {
                let texts = texts(meta, "delays = [\"1s\", \"1m\", \"1h\"]")?;
                let delays = texts.into_iter().map(|text| duration(text, "delays"));
                self.delays = Some(delays.collect::<Result<_, _>>()?);
            }
        }
        Ok(())
    }

    /// Fills in what was not written, as the configuration does.
    fn curve(self, curve: &str) -> Result<Backoff, String> {
        let Self { base, factor, step, max, delay, delays } = self;
        let base = base.unwrap_or(Duration::from_secs(1));
        let max = max.unwrap_or(Duration::from_secs(600).max(base));
        if base > max {
            return Err("has a `base` that is longer than its `max`".to_owned());
        }
        match curve {
            "exponential" => Ok(Backoff::Exponential { base, factor: factor.unwrap_or(2.0), max }),
            "linear" => Ok(Backoff::Linear { base, step: step.unwrap_or(base), max }),
            "fixed" => match delay {
                Some(delay) => Ok(Backoff::Fixed { delay }),
                None => Err("that is fixed needs `delay`, such as delay = \"30s\"".to_owned()),
            },
            _ => match delays {
                Some(delays) if (1..=MAX_DELAYS).contains(&delays.len()) => {
                    Ok(Backoff::List { delays })
                }
                Some(_) => Err(format!("has a list of 1 to {MAX_DELAYS} `delays`")),
                None => Err("that is a list needs `delays`, such as delays = [\"1s\"]".to_owned()),
            },
        }
    }
}

fn factor(meta: &Meta) -> Result<f64, Error> {
    let value = value(meta, "factor = 2.0")?;
    let factor = match value {
        Expr::Lit(ExprLit { lit: Lit::Float(number), .. }) => number.base10_parse().ok(),
        Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => number.base10_parse().ok(),
        _ => return Err(form(value.span(), "factor", "factor = 2.0")),
    };
    let within = factor.filter(|factor| (1.0..=100.0).contains(factor));
    within.ok_or_else(|| Error::new(value.span(), "`factor` must be within 1 and 100"))
}
