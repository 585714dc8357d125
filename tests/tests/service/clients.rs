//! The clients of docs/clients: from a video to its results, over a link that breaks during the upload.

use anyhow::{Context, Result, ensure};
use bodyscript_protocol::options::{OPTIONS, Values};
use bodyscript_tests::faulty_link::{FaultyLink, LinkFault};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::report::skipped;
use bodyscript_tests::server::TestServer;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Bytes of a video that is sent in several chunks.
const LARGE: usize = 4 << 20;
/// Where connections break: so late that a restart of the upload would show in what is sent.
const BREAK_AT: u64 = 7 << 19;
/// What is sent besides the two uploads: one chunk for the second time, headers, requests for the status.
const BESIDES_BYTES_MAX: u64 = (1 << 20) + (1 << 20);
const FRAMES: u32 = 10;

fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of)
}

/// Runs a program that uses a client, with the service, a video and a folder; gives what it prints.
fn use_client(command: &mut Command, folder: &Path) -> Result<Value> {
    let video = folder.join("walk.mp4");
    Clip::new().frames(FRAMES).padded(LARGE).encode(&video)?;
    let server = TestServer::start(&[])?;
    let link = FaultyLink::to(&server)?;
    link.fail_after(BREAK_AT, LinkFault::Cut);
    command.arg(link.url("")).arg(&video).arg(folder);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    link.await_failure()?;
    link.repair();
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let used = serde_json::from_slice(&output.stdout)?;
    check(&used, &video)?;
    let forwarded = link.forwarded();
    assert!(forwarded < 2 * LARGE as u64 + BESIDES_BYTES_MAX, "{forwarded} bytes were sent");
    // The client has deleted its other jobs.
    let jobs = server.jobs()?;
    assert_eq!((&jobs["total"], &jobs["jobs"][0]["status"]), (&1.into(), &"failed".into()));
    Ok(used)
}

/// What every client has to report of the same steps.
fn check(used: &Value, video: &Path) -> Result<()> {
    let digest = Sha256::digest(std::fs::read(video)?);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(used["sha256"], digest.as_str(), "the service has the file as it is");
    assert_eq!((&used["status"], &used["interval"]), (&"completed".into(), &2.into()));
    assert_eq!(used["formats"], json!(["csv", "json", "metadata"]));
    assert_eq!(used["warnings"], json!([]));
    assert_eq!(used["frames"], FRAMES / 2, "every second frame");
    assert_eq!(used["rows"], FRAMES / 2 * 33);
    assert_eq!(used["resumed"], true);
    let told = |code: &str, kind: &str| (json!(code), json!(kind));
    let of = |step: &str| (used[step]["code"].clone(), used[step]["kind"].clone());
    assert_eq!(of("gone"), told("job_not_found", "ApiError"));
    assert_eq!(of("refused"), told("invalid_field", "ApiError"));
    assert_eq!(of("failed"), told("not_a_video", "JobFailed"));
    assert!(used["refused"]["detail"].as_str().context("a detail")?.contains("`mode`"), "{used}");
    let stored: Vec<[usize; 2]> = serde_json::from_value(used["stored"].clone())?;
    assert!(stored.is_sorted() && stored.len() >= 4, "{stored:?}");
    assert_eq!(stored.last(), Some(&[LARGE, LARGE]));
    assert_eq!(
        used["states"].as_array().and_then(|states| states.last()),
        Some(&"completed".into())
    );
    Ok(())
}

#[test]
fn the_python_client_resumes_an_upload_waits_downloads_and_cleans_up() -> Result<()> {
    let python = path("target/clients/bin/python");
    if !python.exists() {
        skipped("clients", "its tools are not installed; run `make python-tools`");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let typed = Command::new(&python)
        .args(["-m", "mypy", "--strict", "--cache-dir"])
        .arg(folder.path().join("types"))
        .arg(path("docs/clients/python/bodyscript"))
        .output()?;
    ensure!(typed.status.success(), "{}", String::from_utf8_lossy(&typed.stdout));
    let mut command = Command::new(&python);
    command.arg("-B").arg(path("tests/clients/use.py"));
    let used = use_client(&mut command, folder.path())?;
    assert_eq!(used["shape"], json!([FRAMES / 2 * 33, 24]), "the table of pandas");
    assert_eq!(used["left"], json!([]), "parts of downloads");
    let bar = used["bar"].as_str().context("a progress bar")?;
    assert!(bar.contains("100% Uploading") && bar.ends_with("\r\u{1b}[K"), "{bar:?}");
    Ok(())
}

#[test]
fn the_typescript_client_resumes_an_upload_waits_downloads_and_cleans_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    if !compile(&path("docs/clients/typescript/tsconfig.json"), &folder.path().join("client"))? {
        return Ok(());
    }
    std::fs::write(folder.path().join("package.json"), json!({"type": "module"}).to_string())?;
    let mut command = Command::new("node");
    command.arg(path("tests/clients/use.mjs"));
    let used = use_client(&mut command, folder.path())?;
    assert_eq!(used["stopped"], "stopped", "the reason of the user's signal");
    Ok(())
}

/// Compiles a TypeScript project into a folder, which fails at the first wrong type; false, which is counted as a skip,
/// where the compiler is not installed.
fn compile(project: &Path, into: &Path) -> Result<bool> {
    let compiler = path("target/browser/node_modules/typescript/bin/tsc");
    if !compiler.exists() {
        skipped("typescript", "it is not installed; run `make browser-tools`");
        return Ok(false);
    }
    let compiled = Command::new("node")
        .arg(compiler)
        .arg("--project")
        .arg(project)
        .arg("--outDir")
        .arg(into)
        .output()?;
    ensure!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stdout));
    Ok(true)
}

#[test]
fn the_clients_know_every_option() -> Result<()> {
    for (file, declaration) in [
        ("docs/clients/python/bodyscript/options.py", "    {}: "),
        ("docs/clients/typescript/src/options.ts", "  {}?: "),
    ] {
        let text = std::fs::read_to_string(path(file))?;
        for name in OPTIONS.iter().map(|row| row.name).chain(["webhook_url"]) {
            assert!(text.contains(&declaration.replace("{}", name)), "{name} is missing in {file}");
        }
        for row in &OPTIONS {
            let (Values::OneOf(names) | Values::ListOf(names)) = row.values else { continue };
            for value in names() {
                let quoted = format!("\"{value}\"");
                assert!(text.contains(&quoted), "{}={value} is missing in {file}", row.name);
            }
        }
    }
    Ok(())
}
