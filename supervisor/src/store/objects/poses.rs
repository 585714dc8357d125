//! Poses of running attempts in the shared store, for clients of other hosts: in parts, each named after the number of
//! frames before it, so that a reader of one knows the name of the next.

use crate::policy::job::JobId;
use crate::store::error::StateError;
use crate::store::objects::{Objects, refused};
use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};

/// A part of the poses that one start of a job has found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PosePart {
    /// The job.
    pub job: JobId,
    /// The number of the start.
    pub claim: u32,
    /// The frames before it.
    pub frames_before: u32,
}

impl Objects {
    fn poses(&self, id: JobId) -> Path {
        self.prefix.clone().join("poses").join(id.to_string())
    }

    fn pose_part(&self, PosePart { job, claim, frames_before }: PosePart) -> Path {
        self.poses(job).join(claim.to_string()).join(frames_before.to_string())
    }

    /// Writes a part.
    pub(crate) async fn put_poses(&self, part: PosePart, lines: Bytes) -> Result<(), StateError> {
        let to = self.pose_part(part);
        let written = self.timed(self.store.put(&to, lines.into())).await;
        self.note(written.map(drop).map_err(|error| refused("written", &to, error)))
    }

    /// Reads a part; none if there is no such part.
    pub(crate) async fn get_poses(&self, part: PosePart) -> Result<Option<Bytes>, StateError> {
        let from = self.pose_part(part);
        let read = async { self.store.get(&from).await?.bytes().await };
        match self.timed(read).await {
            Err(Error::NotFound { .. }) => self.note(Ok(None)),
            read => self.note(read.map(Some).map_err(|error| refused("read", &from, error))),
        }
    }

    /// Removes the parts of all starts of a job.
    pub(crate) async fn remove_poses(&self, id: JobId) -> Result<(), StateError> {
        self.remove_below(&self.poses(id)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::objects::tests::{names, objects};

    #[tokio::test]
    async fn a_part_is_read_back_until_the_poses_of_its_job_are_removed() {
        let (_folder, objects) = objects();
        let part = PosePart { job: JobId::random(), claim: 2, frames_before: 30 };
        assert_eq!(objects.get_poses(part).await.expect("answers"), None);
        let lines = Bytes::from_static(b"{}\n");
        objects.put_poses(part, lines.clone()).await.expect("writes");
        let other = PosePart { job: JobId::random(), ..part };
        objects.put_poses(other, lines.clone()).await.expect("writes");
        assert_eq!(objects.get_poses(part).await.expect("answers"), Some(lines));
        objects.remove_poses(part.job).await.expect("removes");
        assert_eq!(objects.get_poses(part).await.expect("answers"), None);
        assert_eq!(names(&objects).await, [format!("a/b/poses/{}/2/30", other.job)]);
    }
}
