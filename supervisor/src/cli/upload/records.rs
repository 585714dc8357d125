//! Remembers unfinished uploads, so that a repeated command continues them: one file for each, which is named after the
//! service, the video and its options, and has the id of the upload.

use crate::policy::job::JobId;
use sha2::{Digest, Sha256};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Age after which no service has an unfinished upload any more.
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// The folder of the records; none if there is no place for it, and then nothing is remembered.
#[derive(Debug)]
pub(crate) struct Records {
    folder: Option<PathBuf>,
}

/// The record of one upload.
#[derive(Debug)]
pub(crate) struct Record {
    path: Option<PathBuf>,
    /// Size and time of the video, if it could be looked at.
    version: Option<String>,
}

impl Records {
    /// In the state folder of the user (XDG Base Directory).
    pub(crate) fn of_user() -> Self {
        let variable =
            |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state =
            variable("XDG_STATE_HOME").or_else(|| Some(variable("HOME")?.join(".local/state")));
        Self::open(state.map(|state| state.join("bodyscript/uploads")))
    }

    fn open(folder: Option<PathBuf>) -> Self {
        let make =
            |folder: &PathBuf| fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        let folder = folder.filter(|folder| make(folder).is_ok());
        if let Some(folder) = &folder {
            remove_old(folder);
        }
        Self { folder }
    }

    /// The record of a video as it is now, for one service, with these options.
    pub(crate) fn of(&self, service: &str, video: &Path, options: &str) -> Record {
        let version = fs::metadata(video).ok().as_ref().map(version);
        let (Some(folder), Some(changed)) = (&self.folder, &version) else {
            return Record { path: None, version };
        };
        let mut name = Sha256::new();
        let video = video.to_string_lossy();
        for part in [service, video.as_ref(), changed.as_str(), options] {
            name.update((part.len() as u64).to_le_bytes());
            name.update(part);
        }
        let name: String = name.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Record { path: Some(folder.join(name)), version }
    }
}

/// What differs once a video has changed.
fn version(metadata: &fs::Metadata) -> String {
    format!("{} {} {}", metadata.len(), metadata.mtime(), metadata.mtime_nsec())
}

impl Record {
    /// An error if this is another video than when the upload began, of which the service may have a part.
    pub(crate) fn check(&self, video: &fs::File) -> io::Result<()> {
        if self.version.as_ref() == Some(&version(&video.metadata()?)) {
            return Ok(());
        }
        Err(io::Error::other("it has changed since the command looked at it; upload it again"))
    }

    /// The id of the upload.
    pub(crate) fn read(&self) -> Option<JobId> {
        fs::read_to_string(self.path.as_ref()?).ok()?.trim().parse().ok()
    }

    /// Remembers an upload. A record that cannot be written costs nothing but the continuation.
    pub(crate) fn write(&self, id: JobId) {
        if let Some(path) = &self.path {
            let _ = fs::write(path, format!("{id}\n"));
        }
    }

    /// Forgets the upload.
    pub(crate) fn remove(&self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

fn remove_old(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        if age.and_then(|time| time.elapsed().ok()).is_some_and(|age| age > AGE_MAX) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn a_record_is_of_one_service_video_and_choice_of_options() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let video = folder.path().join("walk.mp4");
        fs::write(&video, "video").expect("written");
        let records = Records::open(Some(folder.path().join("state/uploads")));
        let id = JobId::random();
        records.of("http://a", &video, "").write(id);
        assert_eq!(records.of("http://a", &video, "").read(), Some(id));
        assert_eq!(records.of("http://b", &video, "").read(), None);
        assert_eq!(records.of("http://a", &video, "mode ZmFzdA==").read(), None);
        let began = records.of("http://a", &video, "");
        let open = || fs::File::open(&video).expect("readable");
        began.check(&open()).expect("the same video");
        fs::write(&video, "another video").expect("written");
        assert_eq!(records.of("http://a", &video, "").read(), None);
        began.check(&open()).expect_err("another video");
    }

    #[test]
    fn old_records_are_removed_and_without_a_folder_nothing_is_remembered() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let old = folder.path().join("old");
        let file = fs::File::create(&old).expect("made");
        file.set_modified(SystemTime::now() - 2 * AGE_MAX).expect("set");
        fs::write(folder.path().join("new"), "").expect("written");
        Records::open(Some(folder.path().into()));
        assert!(!old.exists() && folder.path().join("new").exists());
        let record = Records::open(None).of("http://a", &old, "");
        record.write(JobId::random());
        assert_eq!(record.read(), None);
    }
}
