//! How the samples of a frame lie in a file, and how GStreamer expects them: with rows padded to
//! whole groups of bytes. Called by `y4m`.

use crate::video::error::VideoError;
use gstreamer as gst;
use gstreamer_video::VideoInfo;

/// The layout of the frames of a file.
#[derive(Debug)]
pub(super) struct RawLayout {
    /// Offset, stride, bytes of a row and rows of each plane.
    planes: Vec<[usize; 4]>,
    padded_bytes: usize,
}

impl RawLayout {
    /// The layout of frames with these caps.
    pub(super) fn of(caps: &gst::CapsRef) -> Result<Self, VideoError> {
        let info = VideoInfo::from_caps(caps);
        let info = info.map_err(|cause| VideoError::Damaged(cause.to_string()))?;
        let planes = (0..info.n_planes()).map(|plane| {
            // Every plane of these formats has the samples of one component.
            let (component, n) = (plane as u8, plane as usize);
            let row = info.comp_width(component) as usize * info.comp_pstride(component) as usize;
            let rows = info.comp_height(component) as usize;
            [info.offset()[n], info.stride()[n] as usize, row, rows]
        });
        Ok(Self { planes: planes.collect(), padded_bytes: info.size() })
    }

    /// Bytes of a frame in the file.
    pub(super) fn file_bytes(&self) -> usize {
        self.planes.iter().map(|[.., row, rows]| row * rows).sum()
    }

    /// A frame of the file as GStreamer expects it.
    pub(super) fn padded(&self, packed: Vec<u8>) -> Vec<u8> {
        if packed.len() == self.padded_bytes {
            return packed;
        }
        let (mut padded, mut from) = (vec![0; self.padded_bytes], 0);
        for [offset, stride, row, rows] in &self.planes {
            for n in 0..*rows {
                let to = offset + n * stride;
                padded[to..to + row].copy_from_slice(&packed[from..from + row]);
                from += row;
            }
        }
        padded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gstreamer_video::VideoFormat;

    fn layout(format: VideoFormat, width: u32, height: u32) -> RawLayout {
        gst::init().expect("GStreamer initialises");
        let info = VideoInfo::builder(format, width, height).build().expect("a size");
        RawLayout::of(&info.to_caps().expect("caps")).expect("a layout")
    }

    #[test]
    fn a_frame_has_the_bytes_of_its_planes() {
        for (format, bytes) in [
            (VideoFormat::I420, 37 * 35 + 2 * 19 * 18),
            (VideoFormat::Y444, 3 * 37 * 35),
            (VideoFormat::Gray8, 37 * 35),
            (VideoFormat::I42010le, 2 * (37 * 35 + 2 * 19 * 18)),
        ] {
            assert_eq!(layout(format, 37, 35).file_bytes(), bytes, "{format:?}");
        }
    }

    #[test]
    fn rows_are_padded() {
        let layout = layout(VideoFormat::Y444, 3, 2);
        let padded = layout.padded((1..=18).collect());
        assert_eq!(padded[..8], [1, 2, 3, 0, 4, 5, 6, 0]);
        assert_eq!(padded[16..], [13, 14, 15, 0, 16, 17, 18, 0]);
    }
}
