//! All results of a job in one archive, unpacked by another program.

use anyhow::{Context, Result, ensure};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_tests::traces::{fault_video, start_fault_service};
use reqwest::StatusCode;
use reqwest::blocking::Response;
use reqwest::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, RANGE,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Unpacks an archive into a folder; prints the names in it and how each is packed.
const UNPACK: &str = "import json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
archive.extractall(sys.argv[2])
print(json.dumps({entry.filename: entry.compress_type for entry in archive.infolist()}))";

/// The names in an archive, each with the number of its method, after it was unpacked into a folder.
fn unpack(archive: &Path, folder: &Path) -> Result<BTreeMap<String, u16>> {
    let output = Command::new("python3").args(["-c", UNPACK]).arg(archive).arg(folder).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn check_headers(answer: &Response) -> Result<()> {
    let headers = answer.headers();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(headers[CONTENT_TYPE], "application/zip");
    assert_eq!(headers[ACCEPT_RANGES], "none");
    ensure!(!headers.contains_key(CONTENT_RANGE) && !headers.contains_key(CONTENT_LENGTH));
    let name = headers[CONTENT_DISPOSITION].to_str()?;
    ensure!(name.starts_with("attachment; filename=\"a walk.zip\""), "{name}");
    Ok(())
}

#[test]
fn all_results_of_a_job_are_downloaded_as_one_archive() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start_fault_service(&[])?;
    let video = folder.path().join("a walk.mp4");
    fs::rename(fault_video(folder.path(), "ok")?, &video)?;
    let accepted: Value = server.upload(&video, &[("formats", "all")])?.json()?;
    let id = accepted["job_id"].as_str().context("an id")?;
    let status = server.await_end(id)?;
    assert_eq!(status["status"], "completed", "{status}");

    let address = format!("/api/download/{id}/all");
    check_headers(&server.client().head(server.url(&address)).send()?)?;
    let part = server.client().get(server.url(&address)).header(RANGE, "bytes=0-3").send()?;
    check_headers(&part)?;
    let archive = folder.path().join("all.zip");
    fs::write(&archive, part.bytes()?)?;
    let unpacked = folder.path().join("unpacked");
    let entries = unpack(&archive, &unpacked)?;
    assert_eq!(entries.len(), Artefact::ALL.len(), "{entries:?}");
    for artefact in Artefact::ALL {
        let name = artefact.file_name();
        assert_eq!(entries.get(name), Some(&0), "{name} is stored: {entries:?}");
        let served = server.get(&format!("/api/serve/{id}/{name}"))?.bytes()?;
        ensure!(!served.is_empty() && fs::read(unpacked.join(name))? == served, "{name}");
    }

    let running = server.submit(&fault_video(folder.path(), "silent")?)?;
    let early = server.get(&format!("/api/download/{running}/all"))?;
    assert_eq!(early.status(), StatusCode::CONFLICT);
    let cleanup = server.url(&format!("/api/cleanup/{id}"));
    server.client().delete(cleanup).send()?.error_for_status()?;
    for gone in [address, "/api/download/nonsense/all".into()] {
        let answer = server.get(&gone)?;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{gone}");
        assert_eq!(answer.json::<Value>()?["code"], "job_not_found");
    }
    Ok(())
}
