//! The API under requests that schemathesis generates from the OpenAPI document. `make soak` fetches it.

use anyhow::{Result, ensure};
use bodyscript_tests::report::skipped;
use bodyscript_tests::traces::start_fault_service;
use std::path::Path;
use std::process::Command;

/// Requests of each kind to each operation.
const EXAMPLES: &str = "100";
/// Streams: each response ends with its job, or never.
const EXCLUDED: [&str; 3] = ["watch_job", "watch_poses", "watch_service"];

#[test]
fn no_generated_request_breaks_the_contract() -> Result<()> {
    let _exclusive = super::run_exclusively();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = here.join("../target/schemathesis/bin/st");
    if !program.exists() {
        skipped("schemathesis", "it is not installed; run `make soak`");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let server = start_fault_service(&["--queue-max", "1000"])?;
    let settings = here.join("schemathesis");
    let mut command = Command::new(program.canonicalize()?);
    command.arg("--config-file").arg(settings.join("schemathesis.toml"));
    command.arg("run").arg(server.operator_url("/openapi.json")?);
    command.args(["--phases", "examples,coverage,fuzzing"]);
    command.args(["--max-examples", EXAMPLES, "--continue-on-failure", "--no-color"]);
    for operation in EXCLUDED {
        command.args(["--exclude-operation-id", operation]);
    }
    command
        .env("SCHEMATHESIS_HOOKS", settings.join("hooks.py"))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let output = command.current_dir(folder.path()).output()?;
    let report = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    println!("schemathesis: {}", report.lines().last().unwrap_or_default());
    Ok(())
}
