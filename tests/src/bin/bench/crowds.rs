//! Response times of one client while another keeps as many connections open as it gets.

use crate::names::{
    ALONE, BESIDE_BODIES, BESIDE_HEADERS, BESIDE_IDLE, BESIDE_STREAMS, BESIDE_UNREAD,
};
use crate::requests::put;
use crate::rounds::Bench;
use crate::service::{add, spread};
use anyhow::{Context, Result, ensure};
use bodyscript_tests::connection_flood::{Behaviour, ConnectionFlood, Route};
use bodyscript_tests::traces::start_fault_service;
use std::time::Instant;

/// Connections that one client keeps open.
const CROWD: usize = 1000;
const REQUESTS: usize = 500;

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let server = start_fault_service(&["--queue-max", "10000", "--worker-progress-s-max", "3600"])?;
    let job = put(&server, b"FAULT silent\n".to_vec())?;
    let to = server.url("").strip_prefix("http://").context("an address")?.parse()?;
    let route = |named| Route { to, from: None, named };
    let holds = [
        (ALONE, None),
        (BESIDE_IDLE, Some(Behaviour::Idle)),
        (BESIDE_HEADERS, Some(Behaviour::Header)),
        (BESIDE_BODIES, Some(Behaviour::Body)),
        (BESIDE_UNREAD, Some(Behaviour::Unread)),
        (BESIDE_STREAMS, Some(Behaviour::Watch(job))),
    ];
    for (case, hold) in holds {
        let flood =
            hold.map(|hold| ConnectionFlood::start(route(None), hold, CROWD)).transpose()?;
        let other = route(Some("198.51.100.1"));
        let mut times = Vec::new();
        for _ in 0..REQUESTS {
            let begun = Instant::now();
            let answer = other.ask("GET /api")?;
            times.push(begun.elapsed());
            ensure!(answer.starts_with("HTTP/1.1 200"), "{case}: {answer}");
        }
        drop(flood);
        add(bench, case, &spread(&times));
    }
    server.stop()?;
    Ok(())
}
