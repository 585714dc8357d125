//! The alert rules and the dashboard in `docs/monitoring` use metrics that the service has, and Prometheus reads all three.

use crate::responses::exposition;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::promtool::Promtool;
use bodyscript_tests::report;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::start_fault_service;
use reqwest::header::ACCEPT;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::{Seek, Write};
use std::path::Path;

const ALERTS: &str = include_str!("../../../docs/monitoring/alerts.yml");
const DASHBOARD: &str = include_str!("../../../docs/monitoring/dashboard.json");
const RUNBOOK: &str = include_str!("../../../docs/runbook.md");
const TESTS_OF_ALERTS: &str = include_str!("../../monitoring/alerts.yml");

/// How the names of metrics begin that only hosts with a shared journal have.
const SHARED: [&str; 6] = ["journal", "store", "host", "claims", "takeovers", "ends_refused"];

/// Labels whose values are fixed.
const LABELS: [&str; 2] = ["end", "state"];

/// Columns of a dashboard.
const COLUMNS: u64 = 24;

/// The metrics that rules and dashboard use.
pub(crate) fn watched() -> BTreeSet<&'static str> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = [ALERTS, DASHBOARD].into_iter().flat_map(|text| text.split(|c| !is_of_name(c)));
    words.filter(|word| word.starts_with("bodyscript_")).collect()
}

/// Whether only hosts that share a journal have a metric.
pub(crate) fn is_shared(name: &str) -> bool {
    SHARED.iter().any(|word| name.starts_with(&format!("bodyscript_{word}")))
}

/// The media types of the formats of metrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4";

/// The metrics of a service in a format.
fn metrics(server: &TestServer, media_type: &str) -> Result<String> {
    let request = server.client().get(server.operator_url("/metrics")?);
    Ok(request.header(ACCEPT, media_type).send()?.text()?)
}

/// The expressions of a dashboard, with values for its variables.
fn expressions(dashboard: &Value) -> Result<Vec<String>> {
    let panels = dashboard["panels"].as_array().context("panels")?;
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let expression = |target: &Value| {
        let text = target["expr"].as_str().context("an expression")?;
        Ok(text.replace("$job", "j").replace("$instance", "i").replace("$__rate_interval", "1m"))
    };
    targets.map(expression).collect()
}

/// The values that rules and dashboard compare a label with: those of `label="value"` and `label=~"value|value"`.
fn compared_values(label: &str) -> BTreeSet<String> {
    let dashboard = DASHBOARD.replace("\\\"", "\"");
    let mut values = BTreeSet::new();
    for text in [ALERTS, &dashboard] {
        for equals in ["=", "=~"] {
            let begin = format!("{label}{equals}\"");
            let found = text.split(&begin).skip(1).filter_map(|rest| rest.split('"').next());
            values.extend(found.flat_map(|all| all.split('|')).map(str::to_owned));
        }
    }
    values
}

/// How many samples Prometheus stores of metrics in the OpenMetrics format.
fn stored_by_prometheus(promtool: &Promtool, text: &str) -> Result<usize> {
    let folder = tempfile::tempdir()?;
    let path = |name| {
        Ok::<_, anyhow::Error>(format!("{}/{name}", folder.path().to_str().context("a path")?))
    };
    let (file, blocks) = (path("metrics")?, path("blocks")?);
    // Samples of a file have times, those of a scrape have none.
    let dated = text.lines().map(|line| match line.starts_with('#') {
        true => format!("{line}\n"),
        false => format!("{line} 1700000000\n"),
    });
    fs::write(&file, dated.collect::<String>())?;
    promtool.run(&["tsdb", "create-blocks-from", "openmetrics", &file, &blocks])?;
    // Without it the blocks are not taken for a database.
    fs::create_dir(path("blocks/wal")?)?;
    Ok(promtool.run(&["tsdb", "dump", &blocks])?.lines().count())
}

#[test]
fn every_metric_is_watched_and_every_watched_one_is_served() -> Result<()> {
    let server = start_fault_service(&[])?;
    // Requests are counted once they are answered.
    metrics(&server, OPEN_METRICS)?;
    let text = metrics(&server, OPEN_METRICS)?;
    let families = exposition(&text)?;
    let samples: Vec<_> = families.values().flat_map(|family| &family.samples).collect();
    let served: BTreeSet<_> =
        samples.iter().filter_map(|(name, _)| name.split('{').next()).collect();
    let watched: BTreeSet<_> = watched().into_iter().filter(|name| !is_shared(name)).collect();
    assert_eq!(watched, served);
    for label in LABELS {
        for value in compared_values(label) {
            let pair = format!("{label}=\"{value}\"");
            assert!(samples.iter().any(|(name, _)| name.contains(&pair)), "no {pair} in {text}");
        }
    }
    let Some(promtool) = Promtool::find() else { return Ok(()) };
    assert_eq!(stored_by_prometheus(&promtool, &text)?, samples.len(), "{text}");
    let mut file = tempfile::tempfile()?;
    file.write_all(metrics(&server, PROMETHEUS_TEXT)?.as_bytes())?;
    file.rewind()?;
    promtool.run_on(file, &["check", "metrics"])?;
    Ok(())
}

#[test]
fn prometheus_accepts_the_rules_and_the_expressions_of_the_dashboard() -> Result<()> {
    let Some(promtool) = Promtool::find() else { return Ok(()) };
    promtool.run(&["check", "rules", "docs/monitoring/alerts.yml"])?;
    promtool.run(&["test", "rules", "tests/monitoring/alerts.yml"])?;
    // As rules that record; a file of rules may be JSON.
    let expressions = expressions(&serde_json::from_str(DASHBOARD)?)?;
    let rules = expressions.iter().enumerate();
    let rules: Vec<_> = rules
        .map(|(number, text)| json!({"record": format!("panel:{number}"), "expr": text}))
        .collect();
    ensure!(!rules.is_empty(), "no expressions");
    let file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(&file, &json!({"groups": [{"name": "panels", "rules": rules}]}))?;
    promtool.run(&["check", "rules", file.path().to_str().context("a plain path")?])?;
    Ok(())
}

#[test]
fn each_alert_is_tested_and_has_its_entry_in_the_runbook() {
    let alerts: Vec<_> =
        ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    let entries: Vec<_> =
        RUNBOOK.lines().filter_map(|line| line.strip_prefix("### Bodyscript")).collect();
    let named: Vec<_> =
        alerts.iter().filter_map(|alert| alert.strip_prefix("Bodyscript")).collect();
    assert_eq!(entries, named);
    for alert in alerts {
        let link = format!("runbook.md#{}\n", alert.to_lowercase());
        assert!(ALERTS.contains(&link), "{link}");
        let raised = format!("alertname: {alert}\n        exp_alerts:\n");
        assert!(TESTS_OF_ALERTS.contains(&raised), "{alert}");
    }
}

#[test]
fn the_panels_of_the_dashboard_have_places_and_names_of_their_own() -> Result<()> {
    let dashboard: Value = serde_json::from_str(DASHBOARD)?;
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().context("panels")? {
        assert!(ids.insert(panel["id"].as_u64().context("an id")?), "{panel}");
        let [x, y, width, height] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64());
        let (x, y) = (x.context("x")?, y.context("y")?);
        let (right, bottom) = (x + width.context("w")?, y + height.context("h")?);
        assert!(right <= COLUMNS, "{panel}");
        for place in (x..right).flat_map(|x| (y..bottom).map(move |y| (x, y))) {
            assert!(places.insert(place), "{panel}");
        }
    }
    Ok(())
}

/// The schema is derived from the types that Grafana publishes.
#[test]
fn the_dashboard_has_the_form_that_grafana_reads() -> Result<()> {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/grafana/dashboard.schema.json");
    if !path.exists() {
        let path = path.display();
        report::skipped("dashboard-schema", &format!("no {path}; run `make dashboard-schema`"));
        return Ok(());
    }
    let validator = jsonschema::validator_for(&serde_json::from_str(&fs::read_to_string(path)?)?)?;
    let mut dashboard: Value = serde_json::from_str(DASHBOARD)?;
    let faults: Vec<_> = validator.iter_errors(&dashboard).map(|fault| fault.to_string()).collect();
    assert_eq!(faults, Vec::<String>::new());
    // The schema does not accept everything.
    dashboard["panels"][0]["gridpos"] = json!({});
    assert!(!validator.is_valid(&dashboard));
    Ok(())
}
