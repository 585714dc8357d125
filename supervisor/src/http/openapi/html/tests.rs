//! The page of the service's own document.

use super::navigation::FIRST;
use super::page;
use serde_json::{Value, json};

/// A document with the first operations and one of each kind of request.
fn document() -> Value {
    let json_answer = json!({"200": {"description": "Done", "content": {"application/json": {}}}});
    let about = |id: &str, tag: &str| json!({"operationId": id, "tags": [tag], "summary": id, "responses": json_answer});
    let mut paths = json!({
        "/api/tus/{id}": {"patch": about("append", "resumable")},
        "/api/jobs": {"get": about("list_jobs", "operators")},
        "/api/gallery/{category}/{name}": {"get": about("get_gallery_file", "jobs")},
        "/api/download/{id}/all": {"get": about("download_results", "jobs")},
    });
    paths["/api/download/{id}/all"]["get"]["responses"] =
        json!({"200": {"description": "Done", "content": {"application/zip": {}}}});
    let patch = &mut paths["/api/tus/{id}"]["patch"];
    patch["parameters"] = json!([{"name": "Upload-Offset", "in": "header", "required": true}]);
    patch["requestBody"] =
        json!({"required": true, "content": {"application/offset+octet-stream": {}}});
    for (method, path) in FIRST {
        paths[path][method] = about(&path.replace(['/', '{', '}'], ""), "jobs");
    }
    paths["/api/upload"]["post"]["requestBody"] = json!({"content": {"multipart/form-data": {}}});
    paths["/api/serve/{id}/{name}"]["get"]["responses"] =
        json!({"200": {"description": "`a` <b>", "content": {"*/*": {}}}});
    let tags = ["jobs", "resumable", "operators"].map(|name| json!({"name": name}));
    json!({"info": {"title": "T", "version": "1"}, "tags": tags, "paths": paths})
}

#[test]
fn what_a_first_program_needs_comes_first_and_nothing_comes_twice() {
    let html = page(&document());
    let mut last = 0;
    for (method, path) in FIRST {
        let call = format!("<code>{} {path}</code>", method.to_uppercase());
        assert_eq!(html.matches(&call).count(), 1, "{call}");
        let at = html.find(&call).expect("it is there");
        assert!(at > last, "{call} comes too early");
        last = at;
    }
    assert!(html.find("GET /api/jobs").is_some_and(|at| at > last));
    assert!(html.contains("<code>a</code> &lt;b&gt;"));
}

#[test]
fn examples_show_the_parameters_and_bodies_of_their_operation() {
    let html = page(&document());
    for line in [
        "--form file=@walk.mp4",
        "files={&quot;file&quot;: open(&quot;walk.mp4&quot;, &quot;rb&quot;)}",
        "body.append(&quot;file&quot;, video);",
        "&quot;$OPERATORS/api/jobs&quot;",
        "f&quot;{service}/api/status/{job}&quot;",
        "`${service}/api/status/${job}`",
        "--header &quot;Upload-Offset: 0&quot;",
        "--header &quot;Content-Type: application/offset+octet-stream&quot;",
        "$UPLOAD",
        "--output pose_data.csv",
        "--output results.zip",
        "`${service}/api/gallery/category/pose_data.csv`",
        "method: &quot;DELETE&quot;",
    ] {
        assert!(html.contains(line), "{line}");
    }
}
