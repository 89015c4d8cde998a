//! The rules of the scripts, broken as those of [`crate::ledger::rules`] are: a text for a text.
//!
//! Compiled to nothing without the feature `sabotage`, like [`crate::sabotage`].

#[cfg(any(feature = "sabotage", test))]
use crate::sabotage::Break;

/// Where a script keeps a rule, and what stands there when it does not.
#[cfg(any(feature = "sabotage", test))]
const PATCHES: &[(Break, &str, &str)] = &[
    (
        Break::BareSetnx,
        "if before(ask, entry) then",
        "if entry.sort ~= 'W' or before(ask, entry) then",
    ),
    (
        Break::StaleOrderIgnored,
        "if before(ask, entry) then",
        "if entry.sort ~= 'W' and before(ask, entry) then",
    ),
    (
        Break::TakeoverWithoutFence,
        "if entry.owner ~= ARGV[8] or entry.fence ~= ARGV[9] then",
        "if false then",
    ),
    (Break::FenceRestarts, "whole(math.max(number + 1, now))", "whole(number + 1)"),
    (
        Break::ExpiryFirst,
        "if entry.sort == 'F' then\n  return resume(entry.fence, entry, entry.toll",
        "if entry.sort == 'F' and (ask.expires_at == '' or tonumber(ask.expires_at) * 1000 > now) then\n  return resume(entry.fence, entry, entry.toll",
    ),
    (Break::CrashNotCharged, "if ARGV[10] ~= '1' then", "if false then"),
    // A line of its own script alone: a lease is given back as ever.
    (
        Break::LockExtended,
        "-- Prolongs the lease where it is still held under this epoch.",
        "local function is_held() return true end",
    ),
];

/// Returns the script as it is sent: with the rule broken that this process breaks.
#[cfg(feature = "sabotage")]
pub(super) fn broken(text: &'static str) -> &'static str {
    for (rule, kept, broken) in PATCHES {
        if crate::sabotage::breaks(*rule) && text.contains(kept) {
            // Once for each script of a connection.
            return Box::leak(text.replace(kept, broken).into_boxed_str());
        }
    }
    text
}

/// Returns the script as it is.
#[cfg(not(feature = "sabotage"))]
pub(super) const fn broken(text: &'static str) -> &'static str {
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_stands_once_where_it_is_broken() {
        let scripts = [
            include_str!("lua/claiming.lua"),
            include_str!("lua/claim.lua"),
            include_str!("lua/take_over.lua"),
            include_str!("lua/renew.lua"),
        ];
        for (rule, kept, _) in PATCHES {
            let found: usize = scripts.iter().map(|script| script.matches(kept).count()).sum();
            assert_eq!(found, 1, "{}", rule.name());
        }
    }
}
