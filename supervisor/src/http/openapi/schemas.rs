//! `GET /schemas/pose_data.json`: the JSON Schema of a result, for programs that read it.

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

const POSE_DATA: &str = include_str!("../../../assets/pose_data.schema.json");

/// JSON Schema of pose_data.json
///
/// Draft 2020-12, with a description and the unit of every key. A line of `pose_data.ndjson`, and a frame of
/// `/api/poses/{id}` without its `id`, is `$defs/frame`.
#[utoipa::path(get, path = "/schemas/pose_data.json", tag = "results",
    operation_id = "get_pose_data_schema",
    responses((status = 200, description = "The schema", body = Object,
        content_type = "application/schema+json")))]
pub(crate) async fn pose_data() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/schema+json")], POSE_DATA)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::layout::SCHEMA_VERSION;
    use bodyscript_protocol::pose::{LANDMARKS, NAMES};
    use serde_json::{Value, json};

    #[test]
    fn the_schema_is_that_of_the_current_layout() {
        let schema: Value = serde_json::from_str(POSE_DATA).expect("valid JSON");
        let properties = &schema["properties"];
        assert_eq!(properties["schema_version"]["const"], SCHEMA_VERSION);
        assert_eq!(properties["landmark_names"]["const"], json!(NAMES.as_slice()));
        let landmarks = &schema["$defs"]["person"]["properties"]["landmarks"];
        assert_eq!(
            (&landmarks["minItems"], &landmarks["maxItems"]),
            (&json!(LANDMARKS), &json!(LANDMARKS))
        );
    }
}
