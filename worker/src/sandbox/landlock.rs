//! Denies access to files by path (landlock(7)). Called by both steps: first to all but the
//! libraries, then to all.
//!
//! Rights are checked when a file is opened, so the inherited descriptors keep working. A process
//! under Landlock can neither mount nor trace a process that is not.

use super::error::SandboxError;
use super::policy;
use ::landlock::{
    ABI, Access, AccessFs, AccessNet, LandlockStatus, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
};
use std::fs;

/// The newest ABI whose rights are denied here; further rights of a newer kernel are not.
const NEWEST: ABI = ABI::V10;

/// Allows reading what [`policy::READABLE`] lists, but not executing it: mapping a library does not
/// need that right.
pub(super) fn allow_libraries_only() -> Result<(), SandboxError> {
    let paths = policy::READABLE.iter().map(|(path, _reason)| path);
    let readable = path_beneath_rules(paths, AccessFs::ReadFile | AccessFs::ReadDir);
    restrict(deny_everything()?.add_rules(readable)?).map(drop)
}

/// Allows nothing: no file, and where the kernel supports it, no TCP port, no abstract socket and
/// no signal to a process outside.
pub(super) fn deny_all() -> Result<String, SandboxError> {
    if !is_single_threaded() {
        return Err(SandboxError::Threads);
    }
    let abi = restrict(deny_everything()?)?;
    Ok(format!("ABI {abi}"))
}

/// Handles all rights of [`NEWEST`]; the crate reduces them to those of the kernel.
fn deny_everything() -> Result<RulesetCreated, SandboxError> {
    let ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    Ok(ruleset.create()?)
}

fn restrict(ruleset: RulesetCreated) -> Result<ABI, SandboxError> {
    match ruleset.restrict_self()? {
        RestrictionStatus { ruleset: RulesetStatus::NotEnforced, .. } => {
            Err(SandboxError::LandlockAbsent)
        }
        RestrictionStatus { landlock: LandlockStatus::Available { effective_abi, .. }, .. } => {
            Ok(effective_abi.min(NEWEST))
        }
        _ => Err(SandboxError::LandlockAbsent),
    }
}

/// Rules apply to the calling thread and those it starts, so there must be no other.
fn is_single_threaded() -> bool {
    fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::landlock::BitFlags;

    #[test]
    fn every_right_that_the_crate_knows_is_handled() {
        assert_eq!(AccessFs::from_all(NEWEST), BitFlags::all());
        assert_eq!(AccessNet::from_all(NEWEST), BitFlags::all());
        assert_eq!(Scope::from_all(NEWEST), BitFlags::all());
        assert_eq!(NEWEST, ABI::from(i32::MAX), "the newest version that the crate knows");
    }
}
