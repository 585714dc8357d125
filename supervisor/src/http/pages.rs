//! The web pages and their files, embedded in the program.

use crate::http::problem::ApiError;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bodyscript_protocol::artefact::Artefact;
use std::sync::LazyLock;

/// A file of a page.
struct Asset {
    name: &'static str,
    media_type: &'static str,
    content: &'static [u8],
}

macro_rules! asset {
    ($name:literal, $media_type:expr) => {
        Asset {
            name: $name,
            media_type: $media_type,
            content: include_bytes!(concat!("../../assets/", $name)),
        }
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

const MONITOR: Asset = asset!("monitor.html", HTML);

/// A video to try the service with: that of `make demo`.
const SAMPLE: Asset = Asset {
    name: "sample.mp4",
    media_type: "video/mp4",
    content: include_bytes!("../../../tests/demo/walking.mp4"),
};

/// Everything under `/assets/`.
const ASSETS: &[Asset] = &[
    asset!("base.css", CSS),
    asset!("app.css", CSS),
    asset!("monitor.css", CSS),
    asset!("error.css", CSS),
    asset!("icon.svg", "image/svg+xml"),
    asset!("announce.js", SCRIPT),
    asset!("api.js", SCRIPT),
    asset!("app.js", SCRIPT),
    asset!("checks.js", SCRIPT),
    asset!("chosen_files.js", SCRIPT),
    asset!("own_videos.js", SCRIPT),
    asset!("recorder.js", SCRIPT),
    asset!("upload_queue.js", SCRIPT),
    asset!("video_list.js", SCRIPT),
    asset!("video_sources.js", SCRIPT),
    asset!("upload_form.js", SCRIPT),
    asset!("part_fields.js", SCRIPT),
    asset!("angle_charts.js", SCRIPT),
    asset!("angles.js", SCRIPT),
    asset!("angle_table.js", SCRIPT),
    asset!("commands.js", SCRIPT),
    asset!("curves.js", SCRIPT),
    asset!("downloads.js", SCRIPT),
    asset!("facts.js", SCRIPT),
    asset!("job_options.js", SCRIPT),
    asset!("save_file.js", SCRIPT),
    asset!("time_span.js", SCRIPT),
    asset!("make.js", SCRIPT),
    asset!("monitor_actions.js", SCRIPT),
    asset!("monitor_lists.js", SCRIPT),
    asset!("monitor_workers.js", SCRIPT),
    asset!("fingerprint.js", SCRIPT),
    asset!("follow.js", SCRIPT),
    asset!("monitor.js", SCRIPT),
    asset!("other_formats.js", SCRIPT),
    asset!("notice.js", SCRIPT),
    asset!("history.js", SCRIPT),
    asset!("people.js", SCRIPT),
    asset!("person_files.js", SCRIPT),
    asset!("link.js", SCRIPT),
    asset!("compare.js", SCRIPT),
    asset!("partner.js", SCRIPT),
    asset!("picture_sources.js", SCRIPT),
    asset!("play_range.js", SCRIPT),
    asset!("player.css", CSS),
    asset!("player.js", SCRIPT),
    asset!("player_keys.js", SCRIPT),
    asset!("read_outs.js", SCRIPT),
    asset!("screen.js", SCRIPT),
    asset!("snapshot.js", SCRIPT),
    asset!("source_note.js", SCRIPT),
    asset!("orbit_camera.js", SCRIPT),
    asset!("space_view.js", SCRIPT),
    asset!("pose.js", SCRIPT),
    asset!("result.js", SCRIPT),
    asset!("resume.js", SCRIPT),
    asset!("uploader.js", SCRIPT),
    asset!("skeleton.js", SCRIPT),
    asset!("stream.js", SCRIPT),
    asset!("tus.js", SCRIPT),
    asset!("stored_upload.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("progress.js", SCRIPT),
    asset!("visibility.js", SCRIPT),
    asset!("work_picture.js", SCRIPT),
    SAMPLE,
];

/// The upload page, with an entry for each output format.
static INDEX: LazyLock<String> = LazyLock::new(|| {
    let entry = |artefact: Artefact| {
        format!(
            "<li data-format=\"{}\"><a download><strong>{}</strong><span class=\"size muted\"></span>\
             <span class=\"description muted\">{}</span></a></li>\n",
            artefact.name(),
            artefact.title(),
            artefact.content()
        )
    };
    let entries: String = Artefact::ALL.map(entry).concat();
    include_str!("../../assets/index.html").replace("<!-- formats -->", &entries)
});

/// `GET /`
pub(crate) async fn index() -> Response {
    send(&Asset { name: "index.html", media_type: HTML, content: INDEX.as_bytes() })
}

/// `GET /monitor`. Requires operator access like its data, so that the browser prompts for the
/// token before it shows the page.
pub(crate) async fn monitor() -> Response {
    send(&MONITOR)
}

/// `GET /assets/{name}`
pub(crate) async fn asset(Path(name): Path<String>) -> Result<Response, ApiError> {
    ASSETS.iter().find(|asset| asset.name == name).map(send).ok_or(ApiError::UnknownAddress)
}

fn send(asset: &Asset) -> Response {
    let headers = [(CONTENT_TYPE, asset.media_type), (CACHE_CONTROL, "no-cache")];
    (headers, asset.content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upload_page_has_an_entry_for_each_format() {
        for artefact in Artefact::ALL {
            let entry = format!("<li data-format=\"{}\">", artefact.name());
            assert_eq!(INDEX.matches(&entry).count(), 1, "{entry}");
            let texts = [artefact.title(), artefact.content()];
            assert!(!texts.concat().contains(['<', '&', '"']), "{texts:?} would need escaping");
        }
    }
}
