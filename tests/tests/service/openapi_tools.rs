//! The OpenAPI document as other programs read it: a linter, and generators of a client in Python and of types in
//! TypeScript. `make browser-tools` and `make python-tools` fetch them.

use anyhow::{Result, ensure};
use bodyscript_tests::fixture::Clip;
use bodyscript_tests::report::skipped;
use bodyscript_tests::server::TestServer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn modules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/browser/node_modules")
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("generated_client")
}

/// Whether these tools are installed; a skip is counted if not.
fn are_installed(name: &str, tools: &[&str]) -> bool {
    let are_there = tools.iter().all(|tool| modules().join(tool).exists());
    if !are_there {
        skipped(name, "it is not installed; run `make browser-tools`");
    }
    are_there
}

/// Writes the document of a service into a folder.
fn save_document(server: &TestServer, folder: &Path) -> Result<PathBuf> {
    let path = folder.join("openapi.json");
    std::fs::write(&path, server.get("/openapi.json")?.text()?)?;
    Ok(path)
}

/// Runs a tool, which has to succeed; gives its output.
fn run(command: &mut Command) -> Result<Output> {
    let output = command.output()?;
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    ensure!(output.status.success(), "{}{}", texts[0], texts[1]);
    Ok(output)
}

#[test]
fn the_document_follows_all_recommended_rules() -> Result<()> {
    let spectral = "@stoplight/spectral-cli/dist/index.js";
    if !are_installed("spectral", &[spectral]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let document = save_document(&TestServer::start(&[])?, folder.path())?;
    let mut lint = Command::new("node");
    lint.arg(modules().join(spectral)).args(["lint", "--fail-severity", "hint", "--ruleset"]);
    run(lint.arg(sources().join("spectral.yaml")).arg(document)).map(drop)
}

#[test]
fn generated_types_compile_and_a_program_with_them_works() -> Result<()> {
    let (generator, compiler) = ("openapi-typescript/bin/cli.js", "typescript/bin/tsc");
    if !are_installed("openapi-typescript", &[generator, compiler, "openapi-fetch"]) {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walk.mp4");
    Clip::new().frames(10).encode(&video)?;
    let server = TestServer::start(&[])?;
    let document = save_document(&server, folder.path())?;
    let mut generate = Command::new("node");
    generate.arg(modules().join(generator)).arg(document);
    run(generate.arg("--output").arg(folder.path().join("api.d.ts")))?;
    for name in ["use.ts", "tsconfig.json"] {
        std::fs::copy(sources().join(name), folder.path().join(name))?;
    }
    std::fs::write(folder.path().join("package.json"), json!({"type": "module"}).to_string())?;
    std::os::unix::fs::symlink(modules().canonicalize()?, folder.path().join("node_modules"))?;
    let mut compile = Command::new("node");
    run(compile.arg(modules().join(compiler)).arg("--project").arg(folder.path()))?;

    let mut program = Command::new("node");
    program.arg(sources().join("run.mjs")).arg(server.url("")).arg(&video).arg(folder.path());
    let used: Value = serde_json::from_slice(&run(&mut program)?.stdout)?;
    assert_eq!(
        used,
        json!({
            "status": "completed",
            "interval": 2,
            "rows": 5 * 33,
            "is_mp4": true,
            "is_whole": true,
            "location": true,
            "wrong": {"status": 400, "code": "invalid_field"},
            "removed": true,
            "gone": {"status": 404, "code": "job_not_found"},
        })
    );
    Ok(())
}

#[test]
fn a_generated_client_uploads_waits_downloads_and_cleans_up() -> Result<()> {
    let python = sources().join("../../target/generated_client/bin/python");
    if !python.exists() {
        skipped("generated-client", "the generator is not installed; run `make python-tools`");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let video = folder.path().join("walk.mp4");
    Clip::new().frames(10).encode(&video)?;
    let server = TestServer::start(&[])?;
    let mut program = Command::new(python);
    program.arg(sources().join("use.py")).arg(server.url("")).arg(&video).arg(folder.path());
    let used: Value = serde_json::from_slice(&run(&mut program)?.stdout)?;
    assert_eq!((&used["status"], &used["interval"]), (&"completed".into(), &2.into()));
    assert_eq!(used["rows"], 5 * 33, "every second frame");
    assert_eq!(used["is_mp4"], true);
    assert!(used["video_bytes"].as_u64() > Some(1000), "{used}");
    assert_eq!(used["removed"], true);
    assert_eq!(used["gone"], json!({"status": 404, "code": "job_not_found"}));
    assert!(used["operations"].as_u64() > Some(0), "{used}");
    assert_eq!(used["modules"], used["operations"], "each operation is a function of the client");
    Ok(())
}
