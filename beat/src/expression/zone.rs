//! Reads the name of a zone.

use chrono_tz::{TZ_VARIANTS, Tz};

use super::problem::{excerpt, nearest};

/// What is no longer than this may be an abbreviation.
const SHORT: usize = 5;

/// Reads the name of an IANA zone.
///
/// # Errors
///
/// What is wrong with it and what was probably meant, in a sentence.
pub fn read(name: &str) -> Result<Tz, String> {
    if let Ok(zone) = name.parse() {
        return Ok(zone);
    }
    let shown = excerpt(name, 40);
    // `New York` is written `New_York`.
    let written = name.trim().replace(' ', "_");
    let name = written.as_str();
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let same = names().find(|known| known.eq_ignore_ascii_case(name));
    if same.is_none() && is_offset(name) {
        return Err(format!(
            "there is no zone `{shown}`: offsets are no zones, because clocks change; write the \
             IANA name of a place, such as Europe/Berlin"
        ));
    }
    // `Berlin` means the zone of that city.
    let city = || {
        names().find(|known| {
            known.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name))
        })
    };
    // Abbreviations are all like one another: the nearest is another hour.
    let is_short = name.len() <= SHORT;
    let near = || nearest(name, names()).filter(|_| !is_short);
    match same.or_else(city).or_else(near) {
        Some(known) => Err(format!("there is no zone `{shown}`; did you mean `{known}`?")),
        None if is_short => Err(format!(
            "there is no zone `{shown}`: abbreviations are no zones, because they leave open which \
             clocks they mean; write an IANA name, such as Europe/Berlin"
        )),
        None => {
            Err(format!("there is no zone `{shown}`; write an IANA name, such as Europe/Berlin"))
        }
    }
}

/// Whether a name says how far from UTC it is. `GMT+1` of the database is an hour **behind**, so
/// that no name like it is proposed.
fn is_offset(name: &str) -> bool {
    name.contains('+') || name.contains(|c: char| c.is_ascii_digit())
}
