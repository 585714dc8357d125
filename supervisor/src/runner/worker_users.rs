//! The users that workers become when the service runs as root: no two workers at a time are the same user, and no other
//! process should be, as it could send signals to a worker of its user.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A range of user ids without root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserIds {
    first: u32,
    last: u32,
}

/// A range that is not one of user ids.
#[derive(Debug)]
pub struct InvalidUserIds;

impl FromStr for UserIds {
    type Err = InvalidUserIds;

    fn from_str(text: &str) -> Result<Self, InvalidUserIds> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let id = |text: &str| text.trim().parse().map_err(|_| InvalidUserIds);
        let ids = Self { first: id(first)?, last: id(last)? };
        // The highest number stands for no user.
        let is_valid = ids.first > 0 && ids.first <= ids.last && ids.last < u32::MAX;
        if is_valid { Ok(ids) } else { Err(InvalidUserIds) }
    }
}

impl fmt::Display for UserIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

/// Which of the users are taken.
#[derive(Debug)]
pub(crate) struct WorkerUsers {
    ids: UserIds,
    taken: Mutex<Taken>,
}

#[derive(Debug)]
struct Taken {
    ids: HashSet<u32>,
    /// Where the search begins: a user that was just freed is taken again last.
    next: u32,
}

/// The user of one worker, until this is dropped.
#[derive(Debug)]
pub(crate) struct WorkerUser {
    pub(crate) id: u32,
    users: Arc<WorkerUsers>,
}

impl WorkerUsers {
    pub(crate) fn new(ids: UserIds) -> Arc<Self> {
        let taken = Taken { ids: HashSet::new(), next: ids.first };
        Arc::new(Self { ids, taken: Mutex::new(taken) })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A user for a worker: one that no other has, if the range is large enough.
    pub(crate) fn take(self: &Arc<Self>) -> WorkerUser {
        let UserIds { first, last } = self.ids;
        let mut taken = self.taken();
        let mut ids = (taken.next..=last).chain(first..taken.next);
        let id = ids.find(|id| !taken.ids.contains(id)).unwrap_or(taken.next);
        taken.ids.insert(id);
        taken.next = if id == last { first } else { id + 1 };
        WorkerUser { id, users: Arc::clone(self) }
    }
}

impl Drop for WorkerUser {
    fn drop(&mut self) {
        self.users.taken().ids.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_no_root_and_an_order() {
        for (text, expected) in [("66000-66999", "66000-66999"), (" 5 - 6 ", "5-6"), ("7", "7-7")] {
            assert_eq!(text.parse::<UserIds>().expect("a range").to_string(), expected);
        }
        for wrong in ["", "0-5", "6-5", "a-b", "1-4294967295", "1-2-3", "-5"] {
            assert!(wrong.parse::<UserIds>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn workers_at_the_same_time_are_different_users() {
        let users = WorkerUsers::new("10-12".parse().expect("a range"));
        let (first, second) = (users.take(), users.take());
        assert_eq!((first.id, second.id), (10, 11));
        drop(first);
        let third = users.take();
        assert_eq!(third.id, 12, "the user that was just freed comes last");
        assert_eq!(users.take().id, 10);
        let fourth = users.take();
        assert_eq!(fourth.id, 10);
        let more = users.take();
        assert!((10..=12).contains(&more.id), "there are fewer users than workers");
    }
}
