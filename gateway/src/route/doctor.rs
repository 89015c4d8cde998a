//! The route of the doctor.

use axum::Json;
use axum::extract::State;
use leveret_common::diagnose::Finding;
use serde::Serialize;
use utoipa::ToSchema;

use super::Door;
use crate::openapi::fleet;
use crate::problem::Problem;
use crate::request::Parameters;

/// What the doctor found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Diagnosis)]
pub(super) struct DoctorAnswer {
    /// Whether nothing is bad; risks do not count.
    healthy: bool,
    /// The worst first.
    #[schema(value_type = Vec<fleet::Finding>)]
    findings: Vec<Finding>,
}

/// Examine broker, store and fleet
///
/// What is wrong, or soon will be, and how to mend it; the worst first. What does not answer within 8 s is a finding.
#[utoipa::path(
    get,
    path = "/v1/doctor",
    tag = "doctor",
    operation_id = "examineHealth",
    responses(
        (status = 200, description = "What was found", body = DoctorAnswer),
    ),
)]
pub(super) async fn examine(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Json<DoctorAnswer>, Problem> {
    parameters.only(&[])?;
    let diagnosis = door.operations.doctor().await;
    Ok(Json(DoctorAnswer { healthy: diagnosis.healthy, findings: diagnosis.findings }))
}
