//! The pinhole camera and the truth it sees: where the landmarks fall in the picture. Called by the
//! renderer and by tests. It must never be adjusted to what a detector reports.

use glam::{Affine3A, Quat, Vec2, Vec3, vec2, vec3};

use super::scene::Figure;
use super::skeleton::Skeleton;

/// A camera that looks level at the scene's centre and goes round it on a circle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Picture width in pixels.
    pub width: u32,
    /// Picture height in pixels.
    pub height: u32,
    /// Place on the circle in radians: 0 sees the front of an unturned figure, positive goes to the
    /// figure's left side.
    pub yaw: f32,
    /// Metres from the scene's centre.
    pub distance: f32,
    /// Metres above the floor.
    pub elevation: f32,
    /// Focal length in picture heights.
    pub focal: f32,
}

impl Camera {
    /// A camera at chest height that sees one standing person from head to foot.
    pub fn new(width: u32, height: u32) -> Self {
        Self { width, height, yaw: 0.0, distance: 4.2, elevation: 0.9, focal: 1.95 }
    }

    /// The same camera at another place on its circle.
    #[must_use]
    pub fn with_yaw(self, yaw: f32) -> Self {
        Self { yaw, ..self }
    }

    /// The motion from the scene's frame to the camera's: x right, y up, z towards the viewer, so
    /// that what is seen has negative z.
    pub(super) fn view(&self) -> Affine3A {
        let stand = vec3(0.0, self.elevation, self.distance);
        Affine3A::from_translation(-stand) * Affine3A::from_quat(Quat::from_rotation_y(-self.yaw))
    }

    /// Focal length in pixels.
    pub(super) fn focal_px(&self) -> f32 {
        self.focal * self.height as f32
    }

    /// Pixel coordinates, from the top left corner of the picture, of a point in the camera's frame.
    pub(super) fn to_pixel(self, seen: Vec3) -> Vec2 {
        let scale = self.focal_px() / -seen.z;
        vec2(self.width as f32 / 2.0 + seen.x * scale, self.height as f32 / 2.0 - seen.y * scale)
    }
}

/// Where one landmark truly is in the picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrueLandmark {
    /// BlazePose's number, 0..=32.
    pub index: usize,
    /// From the left edge, in picture widths.
    pub x: f32,
    /// From the top edge, in picture heights.
    pub y: f32,
}

/// The 33 landmarks of `figure` as `camera` sees them, hidden ones included, in BlazePose's order.
pub fn project(figure: &Figure, camera: &Camera) -> Vec<TrueLandmark> {
    let motion = camera.view() * figure.placement();
    let (width, height) = (camera.width as f32, camera.height as f32);
    let seen = |(index, at)| {
        let pixel = camera.to_pixel(motion.transform_point3(at));
        TrueLandmark { index, x: pixel.x / width, y: pixel.y / height }
    };
    Skeleton::new(&figure.pose).landmarks().into_iter().enumerate().map(seen).collect()
}
