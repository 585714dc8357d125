//! The model files that workers inherit. Opened once, at the start: every worker reads the files that were there
//! then. The files are not read here; a worker checks what it is given.

use bodyscript_protocol::options::{LandmarkModel, alternatives};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// File name of the detector's model in the models folder.
const DETECTOR_FILE: &str = "pose_detection.onnx";

/// Extension of a model file that needs no conversion when it is loaded.
const PACKED: &str = "packed";

/// A model that workers cannot be given.
#[derive(Debug, Error)]
pub enum ModelError {
    /// The file cannot be opened.
    #[error("cannot open the model {}: {source}", .path.display())]
    Open {
        /// Its path.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The file is not there, and no job but one with this model needs it.
    #[error(transparent)]
    NotInstalled(#[from] ModelNotInstalled),
}

/// A landmark model whose file is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "The model `{}` is not installed here. Choose {}, or have the operator install it with `make \
     models`.", .model.name(), alternatives(&.installed.names())
)]
pub struct ModelNotInstalled {
    /// Which.
    pub model: LandmarkModel,
    /// Those that are there.
    pub(crate) installed: InstalledModels,
}

/// The landmark models whose files are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InstalledModels([bool; LandmarkModel::ALL.len()]);

impl InstalledModels {
    /// Every model.
    pub(crate) const ALL: Self = Self([true; LandmarkModel::ALL.len()]);

    /// These models.
    #[cfg(test)]
    pub(crate) fn of(models: &[LandmarkModel]) -> Self {
        Self(LandmarkModel::ALL.map(|model| models.contains(&model)))
    }

    /// Refuses a model that is not installed.
    pub(crate) fn require(self, model: LandmarkModel) -> Result<(), ModelNotInstalled> {
        if self.0[model as usize] {
            Ok(())
        } else {
            Err(ModelNotInstalled { model, installed: self })
        }
    }

    /// Their names.
    pub(crate) fn names(self) -> Vec<&'static str> {
        let all = LandmarkModel::ALL.into_iter();
        all.filter(|model| self.require(*model).is_ok()).map(LandmarkModel::name).collect()
    }
}

/// The models of a folder.
#[derive(Debug)]
pub(crate) struct Models {
    pub(crate) detector: Model,
    /// In the order of [`LandmarkModel::ALL`].
    landmarks: [Option<Model>; LandmarkModel::ALL.len()],
}

impl Models {
    /// Opens all models of the folder. Only the detector and the default landmark model have to be there.
    pub(crate) fn open(folder: &Path) -> Result<Self, ModelError> {
        let mut landmarks = [const { None }; LandmarkModel::ALL.len()];
        for model in LandmarkModel::ALL {
            landmarks[model as usize] = match Model::open(folder.join(model.file_name())) {
                Ok(file) => Some(file),
                Err(ModelError::Open { source, .. })
                    if model != LandmarkModel::default()
                        && source.kind() == io::ErrorKind::NotFound =>
                {
                    None
                }
                Err(error) => return Err(error),
            };
        }
        Ok(Self { detector: Model::open(folder.join(DETECTOR_FILE))?, landmarks })
    }

    /// A landmark model, if it is installed.
    pub(crate) fn landmark(&self, model: LandmarkModel) -> Result<&Model, ModelNotInstalled> {
        let installed = self.installed();
        self.landmarks[model as usize].as_ref().ok_or(ModelNotInstalled { model, installed })
    }

    /// The landmark models that are installed.
    pub(crate) fn installed(&self) -> InstalledModels {
        InstalledModels(self.landmarks.each_ref().map(Option::is_some))
    }
}

/// A model, held open so that every worker reads the file that was there at the start.
#[derive(Debug)]
pub(crate) struct Model {
    path: PathBuf,
    file: File,
}

impl Model {
    /// Opens the packed file beside an ONNX file if there is one: workers start sooner with it and
    /// share its pages.
    fn open(onnx: PathBuf) -> Result<Self, ModelError> {
        let packed = onnx.with_extension(PACKED);
        let path = if packed.exists() { packed } else { onnx };
        match File::open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(ModelError::Open { path, source }),
        }
    }

    /// The same file with an offset of its own, because workers that share one would move each
    /// other's.
    pub(crate) fn reopen(&self) -> Result<File, ModelError> {
        File::open(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
            .map_err(|source| ModelError::Open { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_the_default_landmark_model_has_to_be_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str| fs::write(folder.path().join(name), name).expect("a file");
        write(DETECTOR_FILE);
        write(LandmarkModel::Lite.file_name());
        let refused = Models::open(folder.path()).expect_err("without the default one");
        assert!(refused.to_string().contains("pose_landmark_full.onnx"), "{refused}");
        write(LandmarkModel::Full.file_name());
        let models = Models::open(folder.path()).expect("all that it needs");
        assert_eq!(models.installed().names(), ["lite", "full"]);
        models.landmark(LandmarkModel::Lite).expect("it is there");
        let missing = models.landmark(LandmarkModel::Heavy).expect_err("it is not");
        assert_eq!(
            missing.to_string(),
            "The model `heavy` is not installed here. Choose lite or full, or have the operator \
             install it with `make models`."
        );
        write("pose_landmark_heavy.packed");
        let models = Models::open(folder.path()).expect("all models");
        assert_eq!(models.installed(), InstalledModels::ALL);
    }
}
