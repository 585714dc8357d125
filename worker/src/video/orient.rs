//! How a picture must be turned to stand upright: the orientation tag of the container (a camera
//! held sideways writes its pictures sideways and says so). Read by `decode`.

use gstreamer as gst;
use gstreamer::prelude::*;

/// A turn, perhaps of the mirrored picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Orientation {
    /// Clockwise turn that makes the picture upright: 0, 90, 180 or 270.
    pub(super) degrees: u32,
    /// Whether the stored picture is mirrored left to right before that turn.
    pub(super) mirrored: bool,
    /// Value of `videoflip`'s `video-direction`.
    pub(super) direction: &'static str,
}

/// The values of the tag `image-orientation` and what undoes them. A `flip-` value is mirrored
/// left to right before it is turned.
const ORIENTATIONS: [(&str, Orientation); 8] = [
    ("rotate-0", turned(0, "identity")),
    ("rotate-90", turned(90, "90r")),
    ("rotate-180", turned(180, "180")),
    ("rotate-270", turned(270, "90l")),
    ("flip-rotate-0", mirrored(0, "horiz")),
    ("flip-rotate-90", mirrored(90, "ur-ll")),
    ("flip-rotate-180", mirrored(180, "vert")),
    ("flip-rotate-270", mirrored(270, "ul-lr")),
];

const fn turned(degrees: u32, direction: &'static str) -> Orientation {
    Orientation { degrees, mirrored: false, direction }
}

const fn mirrored(degrees: u32, direction: &'static str) -> Orientation {
    Orientation { degrees, mirrored: true, direction }
}

impl Orientation {
    /// Upright already.
    pub(super) const UPRIGHT: Self = ORIENTATIONS[0].1;

    /// Of the tags that came down this pad; upright without one.
    pub(super) fn of(pad: &gst::Pad) -> Self {
        let mut found = Self::UPRIGHT;
        pad.sticky_events_foreach(|event| {
            if let gst::EventView::Tag(tag) = event.view()
                && let Some(value) = tag.tag().get::<gst::tags::ImageOrientation>()
                && let Some((_, known)) = ORIENTATIONS.iter().find(|(name, _)| *name == value.get())
            {
                found = *known;
            }
            std::ops::ControlFlow::Continue(gst::EventForeachAction::Keep)
        });
        found
    }

    /// Size of a picture after the turn.
    pub(super) const fn turned(self, (width, height): (u32, u32)) -> (u32, u32) {
        if self.degrees.is_multiple_of(180) { (width, height) } else { (height, width) }
    }
}
