//! The region of interest: a rotated square, in pixels, that a person fills upright.

use std::f32::consts::{PI, TAU};

/// A rotated square in a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Roi {
    /// Horizontal centre in pixels.
    pub center_x: f32,
    /// Vertical centre in pixels.
    pub center_y: f32,
    /// Length of a side in pixels.
    pub side: f32,
    /// Clockwise rotation in radians, in -pi..pi.
    pub rotation: f32,
}

impl Roi {
    /// How much larger the square is than the person's circle, as in the training of the models.
    pub(super) const MARGIN: f32 = 1.25;

    /// The square around a person given by two alignment points, in pixels: the middle of the
    /// hips, and a point on the circle that encloses the whole body, above the head.
    pub fn from_alignment(center: [f32; 2], on_circle: [f32; 2]) -> Self {
        let (dx, dy) = (on_circle[0] - center[0], on_circle[1] - center[1]);
        Self {
            center_x: center[0],
            center_y: center[1],
            side: 2.0 * dx.hypot(dy) * Self::MARGIN,
            rotation: normalize_radians(PI / 2.0 - (-dy).atan2(dx)),
        }
    }

    /// The upright square that contains a whole picture, with bars on two sides where the picture
    /// is not square.
    pub fn letterbox(width: u32, height: u32) -> Self {
        Self {
            center_x: width as f32 / 2.0,
            center_y: height as f32 / 2.0,
            side: width.max(height) as f32,
            rotation: 0.0,
        }
    }

    /// A point given as fractions of the square, in pixels of the picture.
    pub fn project(&self, x: f32, y: f32) -> [f32; 2] {
        let [dx, dy] = self.rotate([(x - 0.5) * self.side, (y - 0.5) * self.side]);
        [self.center_x + dx, self.center_y + dy]
    }

    /// A vector of the square's own axes, in the axes of the picture.
    pub fn rotate(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (sin, cos) = self.rotation.sin_cos();
        [cos * x - sin * y, sin * x + cos * y]
    }
}

fn normalize_radians(angle: f32) -> f32 {
    angle - TAU * ((angle + PI) / TAU).floor()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upright_person_needs_no_rotation() {
        let roi = Roi::from_alignment([100.0, 200.0], [100.0, 120.0]);
        assert_eq!((roi.center_x, roi.center_y, roi.side), (100.0, 200.0, 200.0));
        assert!(roi.rotation.abs() < 1e-6, "{roi:?}");
    }

    #[test]
    fn a_person_lying_to_the_right_is_rotated_by_90_degrees() {
        let roi = Roi::from_alignment([100.0, 200.0], [180.0, 200.0]);
        assert!((roi.rotation - PI / 2.0).abs() < 1e-6, "{roi:?}");
        // The top of the square is where the head is.
        let [x, y] = roi.project(0.5, 0.0);
        assert!((x - 200.0).abs() < 1e-3 && (y - 200.0).abs() < 1e-3, "{x} {y}");
    }

    #[test]
    fn the_rotation_of_a_person_upside_down_is_within_180_degrees() {
        let roi = Roi::from_alignment([100.0, 200.0], [99.0, 280.0]);
        assert!((-PI..=PI).contains(&roi.rotation), "{roi:?}");
        assert!(roi.rotation.abs() > 3.0, "{roi:?}");
    }
}
