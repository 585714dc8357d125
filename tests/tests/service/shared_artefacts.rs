//! Uploads and results in a store that hosts share: a real S3 server, and a folder.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::object_server::ObjectServer;
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use reqwest::blocking::{Client, Response};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Read};
use zip::ZipArchive;

fn start(flags: &[String], more: &[&str]) -> Result<TestServer> {
    let flags: Vec<_> = flags.iter().map(String::as_str).chain(more.iter().copied()).collect();
    TestServer::start(&flags)
}

fn get(server: &TestServer, path: &str, range: Option<&str>) -> Result<Response> {
    let request = server.client().request(Method::GET, server.url(path));
    let request = range.into_iter().fold(request, |request, range| request.header("range", range));
    Ok(request.send()?.error_for_status()?)
}

fn header(answer: &Response, name: &str) -> Option<String> {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The names below `results/<id>/`, without the number of the claim.
fn results_of(names: &[String], id: &str) -> BTreeSet<String> {
    let prefix = format!("a/results/{id}/1/");
    names.iter().filter_map(|name| name.strip_prefix(&prefix)).map(str::to_owned).collect()
}

#[test]
fn results_are_served_from_the_store_wherever_the_local_copy_is() -> Result<()> {
    let Some(store) = ObjectServer::start()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("clip.mp4");
    Clip::new().size(160, 120).frames(12).encode(&video)?;
    let flags = store.flags(folder.path())?;
    let server = start(&flags, &[])?;
    let id = server.submit(&video)?;
    let status = server.await_end(&id)?;
    ensure!(status["status"] == "completed", "{status}; {}", server.log());
    wait_until("the upload is removed from the store", || {
        Ok(!store.names()?.contains(&format!("a/uploads/{id}")))
    })?;
    let names = store.names()?;
    let stored = results_of(&names, &id);
    for name in ["pose_data.csv", "output.mp4", "metadata.json", "outcome.json"] {
        ensure!(stored.contains(name), "no {name} in {names:?}");
    }
    ensure!(stored.len() == names.len(), "{names:?}");

    let path = format!("/api/serve/{id}/pose_data.csv");
    let before = get(&server, &path, None)?;
    let tags = [header(&before, "etag"), header(&before, "last-modified")];
    ensure!(tags.iter().all(Option::is_some), "{tags:?}");
    let bytes = before.bytes()?;

    // As on another host, which has no copy: of results at all, and of the ended attempt.
    let state = server.state_dir();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let server = server
        .restart_after(&flags, || Ok(fs::remove_dir_all(state.join("results")).map(drop)?))?;
    let after = get(&server, &path, None)?;
    assert_eq!([header(&after, "etag"), header(&after, "last-modified")], tags);
    assert!(after.bytes()? == bytes);
    let part = get(&server, &format!("/api/serve/{id}/output.mp4"), Some("bytes=4-7"))?;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes()?.as_ref(), b"ftyp");
    let archive = get(&server, &format!("/api/download/{id}/all"), None)?.bytes()?;
    let mut archive = ZipArchive::new(Cursor::new(archive))?;
    let mut table = Vec::new();
    archive.by_name("pose_data.csv")?.read_to_end(&mut table)?;
    assert!(table == bytes, "the archive has another table");
    let names: BTreeSet<_> = archive.file_names().map(str::to_owned).collect();
    assert_eq!(names, &stored - &BTreeSet::from(["outcome.json".to_owned()]));
    let missing = server.get(&format!("/api/serve/{id}/poses.parquet"))?;
    assert_eq!(missing.status(), StatusCode::NOT_FOUND, "it was not asked for");

    let cleanup = server.url(&format!("/api/cleanup/{id}"));
    server.client().delete(cleanup).send()?.error_for_status()?;
    assert_eq!(store.names()?, Vec::<String>::new());
    server.stop()?;
    Ok(())
}

#[test]
fn downloads_are_redirected_to_the_store_if_it_is_to_serve_them() -> Result<()> {
    let Some(store) = ObjectServer::start()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let flags = store.flags(folder.path())?;
    let [flag, program] = fault_worker()?;
    let server = start(&flags, &["--artefacts-redirect", "true", &flag, &program])?;
    let id = server.submit(&fault_video(folder.path(), "ok")?)?;
    server.await_end(&id)?;
    let client = Client::builder().redirect(Policy::none()).build()?;
    let answer = client.get(server.url(&format!("/api/download/{id}/csv"))).send()?;
    assert_eq!(answer.status(), StatusCode::TEMPORARY_REDIRECT);
    let url = header(&answer, "location").context("an address")?;
    ensure!(url.starts_with(&store.endpoint()), "{url}");
    let direct = client.get(&url).send()?.error_for_status()?;
    let disposition = header(&direct, "content-disposition").context("a disposition")?;
    ensure!(disposition.starts_with("attachment"), "{disposition}");
    let served = get(&server, &format!("/api/serve/{id}/pose_data.csv"), None)?;
    assert_eq!(served.status(), StatusCode::OK, "playback stays with the service");
    assert!(direct.bytes()? == served.bytes()?);
    let head = client.head(server.url(&format!("/api/download/{id}/csv"))).send()?;
    assert_eq!(head.status(), StatusCode::OK, "the signature is for GET");
    let archive = client.get(server.url(&format!("/api/download/{id}/all"))).send()?;
    assert_eq!(archive.status(), StatusCode::OK, "the service makes the archive");
    server.stop()?;
    Ok(())
}

#[test]
fn while_the_store_does_not_answer_uploads_are_refused_and_results_kept() -> Result<()> {
    let Some(store) = ObjectServer::start()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let flags = store.flags(folder.path())?;
    let [flag, program] = fault_worker()?;
    let server = start(&flags, &["--workers", "1", &flag, &program])?;
    let running = server.submit(&fault_video(folder.path(), "progress:1 sleep:1000 ok")?)?;
    server.await_status(&running, |status| !status["posture"].is_null())?;
    store.suspend()?;
    server.await_log("the results are kept until they can be shared")?;
    let status = server.status(&running)?;
    assert_eq!(status["status"], "processing", "{status}");
    let refused = server.upload(&fault_video(folder.path(), "ok")?, &[])?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<Value>()?["code"], "store_unreachable");
    let ready = server.get("/readyz")?;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let reason = ready.json::<Value>()?["reason"].as_str().context("a reason")?.to_owned();
    assert_eq!(reason, "the store of uploads and results does not answer");

    store.resume()?;
    let status = server.await_end(&running)?;
    assert_eq!(status["status"], "completed", "{status}");
    assert_eq!(status["attempts"].as_array().map(Vec::len), Some(1), "{status}");
    wait_until("the service is ready", || Ok(server.get("/readyz")?.status().is_success()))?;
    let next = server.submit(&fault_video(folder.path(), "ok")?)?;
    assert_eq!(server.await_end(&next)?["status"], "completed");
    server.stop()?;
    Ok(())
}

#[test]
fn a_cancelled_job_does_not_wait_for_the_store() -> Result<()> {
    let Some(store) = ObjectServer::start()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let flags = store.flags(folder.path())?;
    let [flag, program] = fault_worker()?;
    let server = start(&flags, &[&flag, &program])?;
    let id = server.submit(&fault_video(folder.path(), "progress:1 sleep:1000 ok")?)?;
    server.await_status(&id, |status| !status["posture"].is_null())?;
    store.suspend()?;
    server.await_log("the results are kept until they can be shared")?;
    let cancel = server.url(&format!("/api/cancel/{id}"));
    server.client().post(cancel).send()?.error_for_status()?;
    assert_eq!(server.status(&id)?["status"], "cancelled");
    store.resume()?;
    let cleanup = server.url(&format!("/api/cleanup/{id}"));
    server.client().delete(cleanup).send()?.error_for_status()?;
    wait_until("nothing is left in the store", || Ok(store.names()?.is_empty()))?;
    server.stop()?;
    Ok(())
}

#[test]
fn a_job_whose_video_is_gone_fails_and_says_so() -> Result<()> {
    let (folder, shared) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let url = format!("file://{}", shared.path().display());
    let [flag, program] = fault_worker()?;
    let flags = ["--workers", "1", "--artefacts-url", &url, &flag, &program];
    let server = TestServer::start(&flags)?;
    let running = server.submit(&fault_video(folder.path(), "progress:1 sleep:1500 ok")?)?;
    server.await_status(&running, |status| !status["posture"].is_null())?;
    let waiting = server.submit(&fault_video(folder.path(), "ok")?)?;
    fs::remove_file(shared.path().join("uploads").join(&waiting))?;
    fs::remove_file(server.state_dir().join("spool").join(&waiting))?;
    let status = server.await_end(&waiting)?;
    assert_eq!(status["error_code"], "upload_lost", "{status}");
    assert_eq!(server.await_end(&running)?["status"], "completed");
    server.stop()?;
    Ok(())
}

#[test]
fn a_folder_that_hosts_mount_is_a_store_too() -> Result<()> {
    let (folder, shared) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let url = format!("file://{}", shared.path().display());
    let [flag, program] = fault_worker()?;
    let server = TestServer::start(&["--artefacts-url", &url, &flag, &program])?;
    let id = server.submit(&fault_video(folder.path(), "ok")?)?;
    assert_eq!(server.await_end(&id)?["status"], "completed");
    let results = shared.path().join("results").join(&id).join("1");
    let csv = fs::read(results.join("pose_data.csv"))?;
    fs::remove_dir_all(server.state_dir().join("results").join(&id))?;
    let served = get(&server, &format!("/api/serve/{id}/pose_data.csv"), None)?;
    assert!(served.bytes()? == csv);
    let cleanup = server.url(&format!("/api/cleanup/{id}"));
    server.client().delete(cleanup).send()?.error_for_status()?;
    assert!(!results.exists());
    server.stop()?;
    Ok(())
}
