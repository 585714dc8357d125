//! From the picture to metres in the scene, by the height of a person.
//!
//! One scale holds for the plane through the person that is parallel to the picture: the person's height in metres to
//! that in pixels, which the parts of the body add up to ([`stature`]). The floor is the line on which feet stand
//! ([`floor`]). [`MetresSurvey`] measures both in all frames; [`MetricScale`] applies them to a pose. A person who comes
//! nearer leaves the plane, which shows in the size in pixels and is told.

mod even_sample;
mod floor;
mod stature;
mod survey;

pub use survey::{MetresSurvey, Surveyed};

use bodyscript_protocol::pose::{LANDMARKS, Pose};

/// A place in the picture, in pixels from the upper left corner.
type Pixel = [f64; 2];

/// Positions in metres in the scene: X along the floor to the right of the picture, Y up from the floor, Z to the camera.
/// The origin is the point of the floor below the hips in the first pose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MetricScale {
    /// Size of the picture, in pixels.
    size: [f64; 2],
    metres_per_pixel: f64,
    /// Metres of the person in a metre of the landmark model.
    model_scale: f64,
    origin: Pixel,
    /// The direction of the floor to the right; its length is one.
    along: [f64; 2],
}

impl MetricScale {
    /// The landmarks of a pose in this scene.
    pub fn positions(&self, pose: &Pose) -> [[f32; 3]; LANDMARKS] {
        let [along_x, along_y] = self.along;
        pose.each_ref().map(|landmark| {
            let [x, y] = pixel(landmark.x, landmark.y, self.size);
            let [x, y] = [x - self.origin[0], y - self.origin[1]];
            let (along, up) = (x * along_x + y * along_y, x * along_y - y * along_x);
            let depth = -f64::from(landmark.world[2]) * self.model_scale;
            let position = [along * self.metres_per_pixel, up * self.metres_per_pixel, depth];
            // Adding zero makes a negative zero positive.
            position.map(|metres| metres as f32 + 0.0)
        })
    }

    /// How many pixels a metre measures at the person.
    pub fn pixels_per_metre(&self) -> f64 {
        self.metres_per_pixel.recip()
    }

    /// Metres of the person in a metre of the landmark model.
    pub const fn model_scale(&self) -> f64 {
        self.model_scale
    }

    /// By how many degrees the floor rises to the right of the picture.
    pub fn floor_slope_degrees(&self) -> f64 {
        let [x, y] = self.along;
        (-y).atan2(x).to_degrees() + 0.0
    }
}

/// The pixel at these fractions of the picture.
fn pixel(x: f32, y: f32, [width, height]: [f64; 2]) -> Pixel {
    [f64::from(x) * width, f64::from(y) * height]
}

#[cfg(test)]
mod tests;
