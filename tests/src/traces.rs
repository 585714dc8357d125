//! The files in a service's state folder, the processes that have them open, and services and videos for
//! the fault worker.

use crate::programs;
use crate::server::TestServer;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The names in a folder of the state folder.
pub fn names(state: &Path, folder: &str) -> Result<BTreeSet<String>> {
    let folder = state.join(folder);
    let entries = fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// The processes that have a file of the state folder open, removed or not.
pub fn holders(state: &Path) -> BTreeSet<i32> {
    let holds = |pid: i32| {
        let links = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        links.filter_map(|link| fs::read_link(link.path()).ok()).any(|file| file.starts_with(state))
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| holds(*pid))
        .collect()
}

/// A video for the fault worker, which executes the words. Each video has different content, because the
/// service remembers content that crashed a worker.
pub fn fault_video(folder: &Path, words: &str) -> Result<PathBuf> {
    let path = folder.join(format!("{}.mp4", words.replace([' ', ':'], "_")));
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    fs::write(&path, format!("FAULT {words}\n{serial}\n"))?;
    Ok(path)
}

/// The flags with which a service starts the fault worker.
pub fn fault_worker() -> Result<[String; 2]> {
    let path = programs::path("fault_worker")?;
    Ok(["--worker-program".into(), path.to_string_lossy().into_owned()])
}

/// Starts a service with the fault worker and these flags.
pub fn start_fault_service(flags: &[&str]) -> Result<TestServer> {
    let [flag, program] = fault_worker()?;
    TestServer::start(&[&[flag.as_str(), program.as_str()], flags].concat())
}
