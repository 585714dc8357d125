//! Compiles the system call policy and puts it on (seccomp(2)). Called by `lock_down`, last.
//!
//! A compiled filter has one answer, so there is one for each: those that fail a call with an
//! error first, and then the list of what is allowed, which turns everything else into SIGSYS.
//! The kernel runs all of them and takes the strictest answer.

use super::error::SandboxError;
use super::policy::{self, Answer, Condition, Entry, Test};
use super::refusal;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::{BTreeMap, BTreeSet};

/// Restricts every thread to the policy, for good.
pub(super) fn install() -> Result<String, SandboxError> {
    let programs = compile()?;
    refusal::name_refused_calls()?;
    for program in &programs {
        seccompiler::apply_filter_all_threads(program)?;
    }
    Ok(format!("{} system calls, all threads", allowed()))
}

fn allowed() -> usize {
    let allowed = policy::entries().filter(|entry| entry.answer == Answer::Allow);
    allowed.map(|entry| entry.call).collect::<BTreeSet<_>>().len()
}

/// The filters, in the order in which they are to be installed.
fn compile() -> Result<Vec<BpfProgram>, SandboxError> {
    let architecture = std::env::consts::ARCH;
    let target =
        TargetArch::try_from(architecture).map_err(|_| SandboxError::Architecture(architecture))?;
    let errors: BTreeSet<i32> = policy::entries()
        .filter_map(|entry| match entry.answer {
            Answer::Error(errno) => Some(errno),
            Answer::Allow => None,
        })
        .collect();
    let mut filters = Vec::new();
    for errno in errors {
        let rules = rules(policy::entries().filter(|entry| entry.answer == Answer::Error(errno)))?;
        let refuse = SeccompAction::Errno(errno.unsigned_abs());
        filters.push(SeccompFilter::new(rules, SeccompAction::Allow, refuse, target)?);
    }
    let (listed, unlisted) = (SeccompAction::Allow, SeccompAction::Trap);
    filters.push(SeccompFilter::new(rules(policy::entries())?, unlisted, listed, target)?);
    Ok(filters.into_iter().map(BpfProgram::try_from).collect::<Result<_, _>>()?)
}

/// One chain of rules for each system call; an empty chain matches whatever the arguments.
fn rules<'a>(
    entries: impl Iterator<Item = &'a Entry>,
) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for entry in entries {
        let chain = rules.entry(entry.call).or_default();
        if !entry.when.is_empty() {
            let conditions = entry.when.iter().map(condition).collect::<Result<_, _>>()?;
            chain.push(SeccompRule::new(conditions)?);
        }
    }
    Ok(rules)
}

/// All arguments the policy looks at are 32 bits wide in the kernel.
fn condition(condition: &Condition) -> Result<SeccompCondition, BackendError> {
    let (operator, value) = match condition.test {
        Test::Is(value) => (SeccompCmpOp::Eq, value),
        Test::IsNot(value) => (SeccompCmpOp::Ne, value),
        Test::Bits { mask, value } => (SeccompCmpOp::MaskedEq(u64::from(mask)), value),
        Test::IsOwnPid => (SeccompCmpOp::Eq, std::process::id()),
    };
    let width = SeccompCmpArgLen::Dword;
    SeccompCondition::new(condition.argument, width, operator, u64::from(value))
}
