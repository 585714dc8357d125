//! Which groups a run measures: all, or those that `BENCH` names. Pure.

use anyhow::{Result, bail};

/// Figures that are taken together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// The two networks alone, against other engines.
    Inference,
    /// Whole jobs by `bodyscript run`, against MediaPipe in Python.
    Jobs,
    /// The modes that try several pictures of a frame, against the same in Python.
    Modes,
    /// What modes, landmark models and filters buy, on figures whose joints are known.
    Accuracy,
    /// What a follower of poses and a clean copy cost.
    Costs,
    /// Peak memory.
    Memory,
    /// Peak memory of a worker by codec and picture size.
    Codecs,
    /// Jobs of one frame.
    Start,
    /// The service under load, and what it does at ends.
    Service,
    /// Hosts that share a journal.
    Cluster,
}

impl Group {
    /// All of them, in the order of the document.
    pub(crate) const ALL: [Self; 10] = [
        Self::Inference,
        Self::Jobs,
        Self::Modes,
        Self::Accuracy,
        Self::Costs,
        Self::Memory,
        Self::Codecs,
        Self::Start,
        Self::Service,
        Self::Cluster,
    ];

    /// What `BENCH` calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Jobs => "jobs",
            Self::Modes => "modes",
            Self::Accuracy => "accuracy",
            Self::Costs => "costs",
            Self::Memory => "memory",
            Self::Codecs => "codecs",
            Self::Start => "start",
            Self::Service => "service",
            Self::Cluster => "cluster",
        }
    }
}

/// The groups in a list of names with commas between; all of them if it is empty.
pub(crate) fn parse(list: &str) -> Result<Vec<Group>> {
    if list.trim().is_empty() {
        return Ok(Group::ALL.to_vec());
    }
    let find = |name: &str| Group::ALL.into_iter().find(|group| group.name() == name.trim());
    list.split(',')
        .map(|name| match find(name) {
            Some(group) => Ok(group),
            None => {
                let names = Group::ALL.map(Group::name).join(", ");
                bail!("BENCH names `{name}`, which is none of {names}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_chosen_by_name_and_unknown_ones_refused() {
        assert_eq!(parse("").expect("all"), Group::ALL);
        assert_eq!(parse("start, jobs").expect("two"), [Group::Start, Group::Jobs]);
        let error = parse("jobs,speed").expect_err("no such group").to_string();
        assert!(error.contains("`speed`") && error.contains("inference, jobs"), "{error}");
    }
}
