//! The routes of many schedules: what a file would change, import, export.

use std::collections::HashMap;
use std::fmt::Write as _;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use leveret_beat::definition::{Flaw, Named, Wanted, read_named};
use leveret_beat::timetable::Plan;
use leveret_producer::Problem as FieldProblem;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::super::Door;
use crate::answer::{ImportedAnswer, PlanAnswer};
use crate::body;
use crate::media::{self, Media};
use crate::openapi::name;
use crate::openapi::written::{ExportedScheduleLine, ImportedScheduleLine, NewSchedule};
use crate::operations::OperationError;
use crate::problem::{Problem, Sort, column};
use crate::request::{Parameters, actor, wrong};
use crate::stream::{Gone, respond};

/// Plan a timetable file
///
/// What would change if a timetable file held these schedules. Changes nothing.
#[utoipa::path(
    post,
    path = "/v1/schedules/plan",
    tag = "schedules",
    operation_id = "planSchedules",
    params(
        ("path" = Option<name::FilePath>, Query, description = "The file; that of the leading beat where it is left out"),
    ),
    request_body(
        description = "Schedules: a list of them, or one a line",
        content((Vec<NewSchedule> = "application/json"), (ImportedScheduleLine = "application/x-ndjson")),
    ),
    responses(
        (status = 200, description = "What would change", body = PlanAnswer),
    ),
)]
pub(in super::super) async fn plan(
    State(door): State<Door>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&["path"])?;
    let path = parameters.text("path").map(str::to_owned);
    let media = media::read(&headers)?;
    let text = text(&door, &headers, body).await?;
    let wanted = match media {
        Media::Lines => Wanted::from_lines(&text),
        Media::Json => listed(&text)?,
    };
    let plan = door.operations.plan_file(path, wanted).await?;
    Ok(planned(plan, media, &text))
}

/// Carry schedules in
///
/// Takes the lines of an export, or schedules as they are created. They become the importer's. If one of them is wrong
/// nothing is changed, and nothing is deleted. It can be repeated.
#[utoipa::path(
    post,
    path = "/v1/schedules/import",
    tag = "schedules",
    operation_id = "importSchedules",
    params(
        ("replace" = Option<bool>, Query, description = "Also those that are there and say something else"),
        ("dry_run" = Option<bool>, Query, description = "Only say what would change"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = ImportedScheduleLine, content_type = "application/x-ndjson"),
    responses(
        (status = 200, description = "What was done; with `dry_run`, the plan", body = ImportedShown),
    ),
)]
pub(in super::super) async fn import(
    State(door): State<Door>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&["replace", "dry_run"])?;
    let (replace, dry_run) = (parameters.switch("replace")?, parameters.switch("dry_run")?);
    let by = actor(&headers)?;
    if media::read(&headers)? != Media::Lines {
        let detail = "send Content-Type: application/x-ndjson, one line of an export each";
        return Err(Problem::new(Sort::MEDIA_TYPE, detail));
    }
    let text = text(&door, &headers, body).await?;
    let wanted = Wanted::from_lines(&text);
    let (count, most) = (wanted.schedules.len(), door.config.max_batch);
    if count > most {
        let detail = format!(
            "there are {count} schedules, and more than {most} (gateway.max_batch) are not taken at \
             once; nothing was changed: send them in several requests"
        );
        return Err(Problem::new(Sort::TOO_LARGE, detail));
    }
    let plan = door.operations.plan_import(wanted, replace, &by).await?;
    if dry_run {
        return Ok(planned(plan, Media::Lines, &text));
    }
    if !plan.flaws.is_empty() {
        let whens = Whens::read(Media::Lines, &text);
        let flaws = plan.flaws.into_iter().map(|flaw| {
            let column = whens.column(&flaw);
            (flaw, column)
        });
        return Err(Problem::of_schedules(flaws.collect()));
    }
    let applied = door.operations.carry_out(plan).await?;
    let (created, changed) = (applied.created.len(), applied.changed.len());
    tracing::info!(by, created, changed, left = applied.left.len(), "schedules imported");
    Ok(Json(ImportedAnswer::from(applied)).into_response())
}

/// What was done, or would be.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = ImportedOrPlanned)]
#[allow(dead_code, reason = "only its schema is used")]
enum ImportedShown {
    /// What was done.
    Imported(ImportedAnswer),
    /// What would be done.
    Planned(PlanAnswer),
}

fn planned(plan: Plan, media: Media, text: &str) -> Response {
    // Most plans have no flaws, and need no second look.
    let whens = if plan.flaws.is_empty() { Whens::default() } else { Whens::read(media, text) };
    Json(PlanAnswer::new(plan, |flaw| whens.column(flaw))).into_response()
}

/// What each of many schedules says about when it is due, by the places that flaws name.
#[derive(Default)]
struct Whens(HashMap<String, String>);

impl Whens {
    fn read(media: Media, text: &str) -> Self {
        let items: Vec<(String, Value)> = match media {
            Media::Lines => {
                let lines = text.lines().zip(1_u64..);
                let read = |(line, number)| {
                    Some((format!("line {number}"), serde_json::from_str(line).ok()?))
                };
                lines.filter_map(read).collect()
            }
            Media::Json => {
                let items: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
                items.into_iter().enumerate().map(|(at, item)| (format!("[{at}]"), item)).collect()
            }
        };
        let mut whens = HashMap::new();
        for (place, item) in items {
            let says = item.get("definition").unwrap_or(&item);
            let Some(when) = says["when"].as_str() else { continue };
            whens.insert(place, when.to_owned());
            // Of two that are called so, the first counts.
            if let Some(name) = item["name"].as_str() {
                whens.entry(name.to_owned()).or_insert_with(|| when.to_owned());
            }
        }
        Self(whens)
    }

    /// Finds where in an expression the mistake stands.
    fn column(&self, Flaw { place, problem: FieldProblem { field, why } }: &Flaw) -> Option<usize> {
        column(self.0.get(place)?, field, why)
    }
}

#[derive(Serialize)]
struct ExportEnd {
    finished: bool,
    exported: u64,
}

/// Carry schedules out
///
/// By name. Without its last line an export is not whole.
#[utoipa::path(
    get,
    path = "/v1/schedules/export",
    tag = "schedules",
    operation_id = "exportSchedules",
    responses(
        (
            status = 200,
            description = "A schedule a line, and at the end how many there were",
            body = ExportedScheduleLine,
            content_type = "application/x-ndjson",
        ),
    ),
)]
pub(in super::super) async fn export(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let operations = door.operations.clone();
    // Before the answer begins: a store that is away is told with a status of its own.
    let mut page = operations.export_schedules(None).await?;
    respond(&door, |feed, stop| async move {
        let mut exported = 0;
        let ended = loop {
            let Some((last, _)) = page.last() else {
                break feed.line(&ExportEnd { finished: true, exported }).await;
            };
            let behind = last.clone();
            let mut lines = String::new();
            for (_, line) in &page {
                let _ = writeln!(lines, "{line}");
                exported += 1;
            }
            if let Err(Gone) = feed.lines(lines.into()).await {
                return;
            }
            if stop.is_cancelled() {
                break feed.refuse(OperationError::Stopped.into()).await;
            }
            page = match operations.export_schedules(Some(&behind)).await {
                Ok(page) => page,
                Err(error) => break feed.refuse(error.into()).await,
            };
        };
        // A client that is gone needs no last line.
        let _: Result<(), Gone> = ended;
    })
    .await
}

/// Reads the body as text, without what an export says at its end.
async fn text(door: &Door, headers: &HeaderMap, body: Body) -> Result<String, Problem> {
    /// The last line of an export.
    #[derive(Deserialize)]
    struct Ending {
        #[allow(dead_code, reason = "that it is there is what is asked")]
        finished: bool,
    }
    let config = &door.config;
    let read = body::whole(headers, body, config.max_body, config.idle_timeout).await?;
    let Ok(text) = String::from_utf8(read.into()) else {
        return Err(wrong("body", "it is not UTF-8"));
    };
    let end = text.trim_end();
    let begin = end.rfind('\n').map_or(0, |place| place + 1);
    match serde_json::from_str(&end[begin..]) {
        Ok(Ending { .. }) => Ok(text[..begin].to_owned()),
        Err(_) => Ok(text),
    }
}

/// Reads a list of schedules.
fn listed(json: &str) -> Result<Wanted, Problem> {
    let list: Vec<&RawValue> = serde_json::from_str(json).map_err(|error| {
        wrong("body", format!("it is no list of schedules, [{{\"name\": …}}, …]: {error}"))
    })?;
    let mut wanted = Wanted::default();
    for (index, item) in list.into_iter().enumerate() {
        let place = format!("[{index}]");
        match read_named(item.get().as_bytes()) {
            Ok(Named { name, .. }) if wanted.schedules.contains_key(&name) => {
                let why = format!("one before is called {name} too; keep one of them");
                wanted.flaws.push(Flaw::new(place, FieldProblem::new("name", why)));
            }
            Ok(Named { name, definition }) => {
                wanted.schedules.insert(name, definition);
            }
            Err(problems) => {
                let flaw = |problem| Flaw::new(place.as_str(), problem);
                wanted.flaws.extend(problems.into_iter().map(flaw));
            }
        }
    }
    Ok(wanted)
}
