//! Reports to the state folder that a request could not write for lack of room or permission.

use crate::http::problem::WriteRefused;
use crate::store::artefacts::StateDir;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

/// What one request could not write, others cannot either.
pub(crate) async fn report_refused_writes(
    State(state): State<StateDir>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    if response.extensions().get::<WriteRefused>().is_some() {
        state.report_refused_write();
    }
    response
}
