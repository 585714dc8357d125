//! The parts of resumable uploads in the shared store.
//!
//! Each is an object with a name of its own, which counts once the journal lists it.

use crate::policy::job::JobId;
use crate::store::error::{StateError, failed};
use crate::store::objects::{Objects, refused};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};
use std::io::SeekFrom;
use std::ops::Range;
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

impl Objects {
    fn all_parts(&self) -> Path {
        self.prefix.clone().join("resumable")
    }

    fn parts(&self, id: JobId) -> Path {
        self.all_parts().join(id.to_string())
    }

    /// The part of an upload with this name.
    pub(crate) fn part(&self, id: JobId, name: &str) -> Path {
        self.parts(id).join(name)
    }

    /// Copies these bytes of a file into the store.
    pub(crate) async fn put_part(
        &self,
        file: &std::path::Path,
        bytes: Range<u64>,
        to: &Path,
    ) -> Result<(), StateError> {
        let open = async {
            let mut from = File::open(file).await?;
            from.seek(SeekFrom::Start(bytes.start)).await?;
            Ok(from.take(bytes.end - bytes.start))
        };
        let from = open.await.map_err(failed("opened", file))?;
        self.write(from, Some(bytes.end - bytes.start), to).await
    }

    /// Copies a part to its place in a file; false if there is no such object.
    pub(crate) async fn get_part(
        &self,
        from: &Path,
        file: &std::path::Path,
        bytes: Range<u64>,
    ) -> Result<bool, StateError> {
        let result = match self.store.get(from).await {
            Err(Error::NotFound { .. }) => return self.note(Ok(false)),
            result => self.note(result.map_err(|error| refused("read", from, error)))?,
        };
        let (size, expected) = (result.meta.size, bytes.end - bytes.start);
        if size != expected {
            let cause = format!("it has {size} bytes instead of {expected}");
            return Err(refused("read", from, cause));
        }
        let open = async {
            let mut to = OpenOptions::new().write(true).open(file).await?;
            to.seek(SeekFrom::Start(bytes.start)).await.map(|_| to)
        };
        let to = open.await.map_err(failed("opened", file))?;
        self.receive(result, from, (to, file)).await.map(|()| true)
    }

    /// Removes a part.
    pub(crate) async fn remove_part(&self, id: JobId, name: &str) -> Result<(), StateError> {
        self.remove(&self.part(id, name)).await
    }

    /// Removes all parts of an upload.
    pub(crate) async fn remove_parts(&self, id: JobId) -> Result<(), StateError> {
        self.remove_below(&self.parts(id)).await
    }

    /// The uploads that have parts.
    pub(crate) async fn ids_of_parts(&self) -> Result<Vec<JobId>, StateError> {
        let folder = self.all_parts();
        let listed = self.store.list_with_delimiter(Some(&folder)).await;
        let listed = self.note(listed.map_err(|error| refused("listed", &folder, error)))?;
        let id = |path: &Path| path.filename()?.parse().ok();
        Ok(listed.common_prefixes.iter().filter_map(id).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;
    use std::sync::Arc;

    #[tokio::test]
    async fn a_part_comes_back_to_its_place_and_one_of_another_size_does_not() {
        let objects = Objects::new(Arc::new(InMemory::new()), None, Path::from("a"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        std::fs::write(&from, "0123456789").expect("writes");
        let (id, other) = (JobId::random(), JobId::random());
        let part = objects.part(id, "part");
        objects.put_part(&from, 3..7, &part).await.expect("writes");
        objects.put_part(&from, 8..11, &part).await.expect_err("the file is shorter");
        std::fs::write(&to, "----------").expect("writes");
        assert!(objects.get_part(&part, &to, 3..7).await.expect("reads"));
        assert_eq!(std::fs::read(&to).expect("is there"), b"---3456---");
        objects.get_part(&part, &to, 3..8).await.expect_err("the part is shorter");
        assert!(!objects.get_part(&objects.part(id, "none"), &to, 3..7).await.expect("answers"));

        objects.put_part(&from, 0..1, &objects.part(other, "part")).await.expect("writes");
        let mut ids = objects.ids_of_parts().await.expect("lists");
        ids.sort();
        assert_eq!(
            ids,
            std::collections::BTreeSet::from([id, other]).into_iter().collect::<Vec<_>>()
        );
        objects.remove_part(other, "part").await.expect("removes");
        assert_eq!(objects.ids_of_parts().await.expect("lists"), [id]);
        objects.remove_parts(id).await.expect("removes");
        assert_eq!(objects.ids_of_parts().await.expect("lists"), []);
    }
}
