//! `leveret doctor`: what is wrong, or soon will be, and how to mend it.
//!
//! The gateway knows most and is asked first. Where none listens, the backend is opened from here
//! ([`alone`]), so that the doctor has something to say when it is needed most.

mod alone;

use leveret_common::config::Settings;
use leveret_common::diagnose::{Finding, Health};
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::{Error, Loss};
use crate::report::{self, Format};

const COLUMNS: [&str; 5] = ["health", "part", "check", "took", "found"];

/// Looks at everything, prints what was found and fails where something is bad.
///
/// # Cancel safety
/// Only looks.
pub(super) async fn run(settings: Settings, format: Format) -> Result<(), Error> {
    let asked = Client::new(&settings.gateway)?.get("ask how it is", "/v1/doctor").await;
    let findings = match asked {
        Ok(answer) => answer["findings"].as_array().cloned().unwrap_or_default(),
        Err(Error::Unreachable { url, why, loss: Loss::Absent, .. }) => {
            let gateway = absent(&url, &why);
            let others = alone::look(settings).await?;
            [gateway].into_iter().chain(others).map(|finding| json!(finding)).collect()
        }
        Err(error) => return Err(error),
    };
    print(&findings, format)?;
    judge(&findings)
}

/// The finding of a gateway that does not listen: enqueues over HTTP and operators need it.
fn absent(url: &str, why: &str) -> Finding {
    Finding::new(
        "gateway",
        "reachable",
        Health::Bad,
        format!("no gateway answers at {url} ({why})"),
    )
    .mend(
        "start one with `leveret dev` or `leveret gateway`, or name another with \
             --gateway-url; what follows was looked at from here",
    )
}

fn print(findings: &[Value], format: Format) -> Result<(), Error> {
    match format {
        Format::Table => {}
        Format::Json => {
            let healthy = bad(findings) == 0;
            let whole = json!({ "healthy": healthy, "findings": findings });
            return Ok(report::one(format, &[], &whole)?);
        }
        Format::Jsonl => return Ok(report::rows(format, &COLUMNS, findings)?),
    }
    let rows: Vec<Value> = findings.iter().map(row).collect();
    report::rows(format, &COLUMNS, &rows)?;
    let advised: Vec<&Value> =
        findings.iter().filter(|finding| finding["mend"].is_string()).collect();
    if advised.is_empty() {
        return Ok(());
    }
    report::heading("What to do")?;
    for finding in advised {
        let text = |name: &str| report::plain(&finding[name]);
        let (part, check) = (text("part"), text("check"));
        report::write(&format!("- {part} {check}: {}\n  {}\n", text("found"), text("mend")))?;
    }
    Ok(())
}

fn row(finding: &Value) -> Value {
    let mut row = finding.clone();
    row["took"] = finding["took_ms"].as_u64().map(|took| format!("{took} ms")).into();
    row
}

fn bad(findings: &[Value]) -> usize {
    findings.iter().filter(|finding| finding["health"] == "bad").count()
}

fn judge(findings: &[Value]) -> Result<(), Error> {
    match bad(findings) {
        0 => Ok(()),
        bad => Err(Error::Unhealthy { bad, total: findings.len() }),
    }
}
