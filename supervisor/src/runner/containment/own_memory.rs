//! The memory of this process, for log lines and reports.

/// Its resident memory, in bytes; 0 if unknown.
pub(crate) fn own_rss_bytes() -> u64 {
    let pages = procfs::process::Process::myself().and_then(|me| me.statm());
    pages.map_or(0, |pages| pages.resident * procfs::page_size())
}
