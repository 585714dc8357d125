//! Removes what no job accounts for.

use crate::policy::job::JobId;
use crate::store::error::StateError;
use crate::store::objects::Objects;
use jiff::Timestamp;
use object_store::path::Path;

/// What an object in the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// The video of a job.
    Upload(JobId),
    /// A result of this claim of a job.
    Results(JobId, u32),
    /// Poses of a running job.
    Poses(JobId),
}

impl Objects {
    /// Removes objects from before this time that `is_kept` does not know, and returns how many. Younger ones may be of
    /// uploads and attempts that nobody knows yet.
    pub(crate) async fn sweep(
        &self,
        before: Timestamp,
        is_kept: impl Fn(&Stored) -> bool + Send,
    ) -> Result<usize, StateError> {
        let mut removed = 0;
        for object in self.list(&self.prefix).await? {
            let stored = self.stored(&object.location).filter(|stored| !is_kept(stored));
            if stored.is_some() && object.last_modified.timestamp() < before.as_second() {
                self.remove(&object.location).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// What an object is; none if it is none of this service.
    fn stored(&self, path: &Path) -> Option<Stored> {
        let mut parts = path.prefix_match(&self.prefix)?;
        let (kind, id) = (parts.next()?, parts.next()?.as_ref().parse().ok()?);
        match kind.as_ref() {
            "uploads" => Some(Stored::Upload(id)),
            "results" => Some(Stored::Results(id, parts.next()?.as_ref().parse().ok()?)),
            "poses" => Some(Stored::Poses(id)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::objects::tests::{names, objects};
    use jiff::ToSpan;

    #[tokio::test]
    async fn a_sweep_removes_what_is_old_and_unknown() {
        let (folder, objects) = objects();
        let file = folder.path().join("file");
        std::fs::write(&file, "content").expect("writes");
        let (id, unknown) = (JobId::random(), JobId::random());
        let foreign = objects.prefix.clone().join("notes").join("readme");
        for path in [
            objects.upload(unknown),
            objects.result(id, 1, "a.csv"),
            objects.result(id, 2, "a.csv"),
            foreign,
        ] {
            objects.put(&file, &path).await.expect("writes");
        }
        let is_kept = |stored: &Stored| *stored == Stored::Results(id, 2);
        let (past, future) = (Timestamp::now() - 60.seconds(), Timestamp::now() + 60.seconds());
        assert_eq!(objects.sweep(past, is_kept).await.expect("sweeps"), 0);
        assert_eq!(objects.sweep(future, is_kept).await.expect("sweeps"), 2);
        let left = ["a/b/notes/readme".into(), format!("a/b/results/{id}/2/a.csv")];
        assert_eq!(names(&objects).await, left);
        objects.put(&file, &objects.result(id, 1, "a.csv")).await.expect("writes");
        objects.remove_other_claims(id, 2).await.expect("removes");
        assert_eq!(names(&objects).await, left);
    }
}
