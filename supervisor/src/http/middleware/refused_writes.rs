//! Reports writes that the disk refused during a request to the state folder.

use crate::http::problem::WriteRefused;
use crate::store::StateDir;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

/// Reports a refused write, because the writes of other requests will fail as well.
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
