//! The layers that not every supported kernel provides, and those that this one does.

use crate::attempts::call;
use crate::report;
use bodyscript_protocol::sandbox_report::Layer;
use nix::errno::Errno;
use std::fs;

/// Whether this kernel provides a layer; true for those that every supported one has.
pub(crate) fn provides(layer: Layer) -> bool {
    match layer {
        Layer::Mdwe => version() >= (6, 3),
        Layer::Mseal => version() >= (6, 10),
        Layer::CoreScheduling => core_tag().is_ok(),
        _ => true,
    }
}

/// Every layer that this kernel provides.
pub(crate) fn provided() -> Vec<Layer> {
    Layer::ALL.into_iter().filter(|layer| provides(*layer)).collect()
}

/// Counts a check that this kernel lacks the layer for.
pub(crate) fn skip(check: &str, layer: &str) {
    report::skipped("kernel-layers", &format!("{check}: this kernel has no {layer}"));
}

/// The tag of this process for core scheduling, zero without one; an error on hosts without SMT.
pub(crate) fn core_tag() -> Result<u64, Errno> {
    const PR_SCHED_CORE: i64 = 62;
    const GET: i64 = 0;
    let mut tag = 0_u64;
    call(libc::SYS_prctl, [PR_SCHED_CORE, GET, 0, 0, (&raw mut tag) as i64])?;
    Ok(tag)
}

fn version() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").expect("Linux has a release");
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    next().zip(next()).unwrap_or_else(|| panic!("no version in {release:?}"))
}
