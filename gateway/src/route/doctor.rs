//! The route of the doctor.

use axum::Json;
use axum::extract::State;
use leveret_common::diagnose::Finding;
use serde::Serialize;

use super::Door;
use crate::problem::Problem;
use crate::request::Parameters;

#[derive(Debug, Serialize)]
pub(super) struct DoctorAnswer {
    healthy: bool,
    findings: Vec<Finding>,
}

/// `GET /v1/doctor`.
pub(super) async fn examine(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Json<DoctorAnswer>, Problem> {
    parameters.only(&[])?;
    let diagnosis = door.operations.doctor().await;
    Ok(Json(DoctorAnswer { healthy: diagnosis.healthy, findings: diagnosis.findings }))
}
