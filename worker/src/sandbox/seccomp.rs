//! Compiles the system call policy and installs it (seccomp(2)). Called by `lock_down`, last.
//!
//! A compiled filter has one action for its matches, so there is one filter for each action: first
//! those that fail a call with an error, then the allowlist, which turns everything else into
//! SIGSYS. The kernel runs all of them and takes the strictest action.

use super::error::SandboxError;
use super::policy::{self, Action, Comparison, Condition, Rule};
use super::sigsys_handler;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::{BTreeMap, BTreeSet};

/// Restricts every thread to the policy, permanently.
pub(super) fn install() -> Result<String, SandboxError> {
    let programs = compile()?;
    sigsys_handler::install()?;
    for program in &programs {
        seccompiler::apply_filter_all_threads(program)?;
    }
    Ok(format!("{} system calls, all threads", allowed_count()))
}

fn allowed_count() -> usize {
    let allowed = policy::rules().filter(|rule| rule.action == Action::Allow);
    allowed.map(|rule| rule.call).collect::<BTreeSet<_>>().len()
}

/// The filters, in the order in which they are to be installed.
fn compile() -> Result<Vec<BpfProgram>, SandboxError> {
    let architecture = std::env::consts::ARCH;
    let target =
        TargetArch::try_from(architecture).map_err(|_| SandboxError::Architecture(architecture))?;
    let errors: BTreeSet<i32> = policy::rules()
        .filter_map(|rule| match rule.action {
            Action::Error(errno) => Some(errno),
            Action::Allow => None,
        })
        .collect();
    let mut filters = Vec::new();
    for errno in errors {
        let rules =
            compile_rules(policy::rules().filter(|rule| rule.action == Action::Error(errno)))?;
        let refuse = SeccompAction::Errno(errno.unsigned_abs());
        filters.push(SeccompFilter::new(rules, SeccompAction::Allow, refuse, target)?);
    }
    let (listed, unlisted) = (SeccompAction::Allow, SeccompAction::Trap);
    filters.push(SeccompFilter::new(compile_rules(policy::rules())?, unlisted, listed, target)?);
    Ok(filters.into_iter().map(BpfProgram::try_from).collect::<Result<_, _>>()?)
}

/// One chain of rules for each system call; an empty chain matches all arguments.
fn compile_rules<'a>(
    listed: impl Iterator<Item = &'a Rule>,
) -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for rule in listed {
        let chain = rules.entry(rule.call).or_default();
        if !rule.when.is_empty() {
            let conditions = rule.when.iter().map(condition).collect::<Result<_, _>>()?;
            chain.push(SeccompRule::new(conditions)?);
        }
    }
    Ok(rules)
}

/// All arguments that the policy compares are 32 bits wide in the kernel.
fn condition(condition: &Condition) -> Result<SeccompCondition, BackendError> {
    let (operator, value) = match condition.comparison {
        Comparison::Equals(value) => (SeccompCmpOp::Eq, value),
        Comparison::NotEquals(value) => (SeccompCmpOp::Ne, value),
        Comparison::MaskedEquals { mask, value } => {
            (SeccompCmpOp::MaskedEq(u64::from(mask)), value)
        }
        Comparison::EqualsOwnPid => (SeccompCmpOp::Eq, std::process::id()),
    };
    let width = SeccompCmpArgLen::Dword;
    SeccompCondition::new(condition.argument, width, operator, u64::from(value))
}
