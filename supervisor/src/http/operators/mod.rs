//! Routes for operators and monitoring: health, metrics, the live monitor.

mod exposition;
pub(crate) mod health;
pub(crate) mod job_metrics;
pub(crate) mod monitor;
pub(crate) mod openmetrics;

use crate::http::openapi::refusals::refusals;

refusals! {
    OperatorRefusals: OperatorsOnly TokenRequired Stopping;
}
