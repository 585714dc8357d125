//! What a service has in its state folder, and which processes hold files of it; videos for the
//! fault worker.

use crate::programs;
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

/// A video for the fault worker: it does what the words say. Each is of a content of its own,
/// for what one does is held against its twins.
pub fn fault_video(folder: &Path, words: &str) -> Result<PathBuf> {
    let path = folder.join(format!("{}.mp4", words.replace([' ', ':'], "_")));
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    fs::write(&path, format!("FAULT {words}\n{serial}\n"))?;
    Ok(path)
}

/// The flags that have a service start the fault worker.
pub fn fault_worker() -> Result<[String; 2]> {
    let path = programs::path("fault_worker")?;
    Ok(["--worker-program".into(), path.to_string_lossy().into_owned()])
}
