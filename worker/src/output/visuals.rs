//! The visual artefacts: the video without and with the skeleton, the preview and the thumbnail.

use super::artefact_files::ArtefactFiles;
use crate::picture::{Picture, RgbPicture};
use crate::video::{
    self, EncodeSpec, FinishingVideo, FrameTime, Probe, SoundReport, SoundSource, VideoError,
    VideoWriter,
};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::{THUMBNAIL_WIDTH_MAX, preview_size};
use std::fs::File;
use std::time::Duration;

/// How much of the video the preview shows.
const PREVIEW_LENGTH: Duration = Duration::from_secs(3);

/// Writes those that are requested.
pub(crate) struct Visuals {
    clean: Option<VideoWriter>,
    video: Option<VideoWriter>,
    preview: Option<VideoWriter>,
    /// Whether a frame was written.
    has_begun: bool,
    thumbnail: Option<Thumbnail>,
}

struct Thumbnail {
    file: File,
    /// The clearest frame so far, small.
    best: Option<(f32, RgbPicture)>,
}

impl Visuals {
    /// Starts the requested artefacts. The videos have their sound. The preview has none: it would need to
    /// read the file once more, for what is a moving thumbnail.
    pub(crate) fn create(
        mut artefacts: ArtefactFiles,
        (probe, sound): (&Probe, SoundSource),
    ) -> Result<Self, VideoError> {
        let full = EncodeSpec {
            width: probe.area[0],
            height: probe.area[1],
            frame_rate: probe.frame_rate,
            colours: probe.colours,
            duration_max: probe.length_max,
        };
        let [width, height] = preview_size([full.width, full.height]);
        let preview = EncodeSpec { width, height, duration_max: PREVIEW_LENGTH, ..full };
        let mut writer = |artefact, spec: &EncodeSpec| {
            artefacts.take(artefact).map(|file| VideoWriter::create(file.into(), spec)).transpose()
        };
        let clean = writer(Artefact::Clean, &full)?;
        Ok(Self {
            clean: clean.map(|video| video.with_sound(sound.clone())),
            video: writer(Artefact::Video, &full)?.map(|video| video.with_sound(sound)),
            preview: writer(Artefact::Preview, &preview)?,
            has_begun: false,
            thumbnail: artefacts
                .take(Artefact::Thumbnail)
                .map(|file| Thumbnail { file, best: None }),
        })
    }

    /// Adds one frame before anything is drawn on it, at this time from the start of the part.
    pub(crate) fn write_clean(
        &mut self,
        picture: &Picture,
        time: Duration,
    ) -> Result<(), VideoError> {
        let time = FrameTime { pts: time };
        self.clean.as_mut().map_or(Ok(()), |clean| clean.write(picture, time))
    }

    /// Adds one frame with its skeletons, at this time from the start of the part; `clarity` is the mean
    /// visibility of the pose in it.
    pub(crate) fn write(
        &mut self,
        picture: &Picture,
        time: Duration,
        clarity: f32,
    ) -> Result<(), VideoError> {
        let pts = FrameTime { pts: time };
        if let Some(video) = &mut self.video {
            video.write(picture, pts)?;
        }
        // A video may begin later than its preview ends, which has the first frame at least.
        let is_first = !std::mem::replace(&mut self.has_begun, true);
        match &mut self.preview {
            Some(preview) if time < PREVIEW_LENGTH || is_first => preview.write(picture, pts)?,
            // Finished early, so that its encoder's memory is free for the rest of the run.
            preview => drop(preview.take().map(VideoWriter::finish).transpose()?),
        }
        if let Some(thumbnail) = &mut self.thumbnail {
            thumbnail.update(picture, clarity)?;
        }
        Ok(())
    }

    /// Completes all; returns what was done with the sound, if it was requested.
    pub(crate) fn finish(self) -> Result<Option<SoundReport>, VideoError> {
        let end = |video: Option<VideoWriter>| video.map(VideoWriter::end).transpose();
        // The encoders finish on their own threads meanwhile.
        let (clean, video, preview) = (end(self.clean)?, end(self.video)?, end(self.preview)?);
        if let Some(Thumbnail { mut file, best: Some((_, picture)) }) = self.thumbnail {
            video::write_thumbnail(&picture, &mut file)?;
        }
        let sound_of =
            |video: Option<FinishingVideo>| video.map(FinishingVideo::finish).transpose();
        let (clean, video) = (sound_of(clean)?.flatten(), sound_of(video)?.flatten());
        preview.map(FinishingVideo::finish).transpose()?;
        Ok(video.or(clean))
    }
}

impl Thumbnail {
    fn update(&mut self, picture: &Picture, clarity: f32) -> Result<(), VideoError> {
        if self.best.as_ref().is_none_or(|(best, _)| clarity > *best) {
            self.best = Some((clarity, video::thumbnail(picture, THUMBNAIL_WIDTH_MAX)?));
        }
        Ok(())
    }
}
