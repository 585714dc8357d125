//! Draws a scene by sphere tracing its signed distance field (Hart, "Sphere tracing", 1996). Called
//! by the clip encoder and by tests. The same scene and camera always give the same picture.

use std::ops::Range;
use std::thread;

use glam::{Vec3, vec3};

use super::body::body;
use super::camera::Camera;
use super::image::RgbImage;
use super::scene::Scene;
use super::skeleton::Skeleton;
use super::solid::{Part, Shape};

/// Side of the square tiles in pixels; each tile traces only the solids that can show in it.
const TILE: u32 = 16;
/// Positions within a pixel whose colours are averaged where an edge passes through it.
const SAMPLES: [(f32, f32); 4] = [(0.125, 0.375), (0.375, 0.875), (0.625, 0.125), (0.875, 0.625)];
/// Difference between a pixel's corners, on a scale of 0..=1, above which there is an edge.
const EDGE_CONTRAST: f32 = 0.08;
const STEPS_MAX: u32 = 64;
const HIT_M: f32 = 1e-3;
/// Lights stand with the camera, so that a picture's shading does not depend on the yaw.
const KEY_LIGHT: Vec3 = vec3(0.398, 0.697, 0.597);
const FILL_LIGHT: Vec3 = vec3(-0.598, 0.359, 0.717);

/// The picture of `scene` seen by `camera`.
pub fn render(scene: &Scene, camera: &Camera) -> RgbImage {
    let (width, height) = (camera.width, camera.height);
    let parts = parts_in_view(scene, camera);
    let mut data = vec![0; width as usize * height as usize * 3];
    let band_bytes = (width * TILE * 3) as usize;
    let mut shares: [Vec<(u32, &mut [u8])>; 2] = Default::default();
    for (band, pixels) in (0..).zip(data.chunks_mut(band_bytes.max(1))) {
        shares[band as usize % 2].push((band * TILE, pixels));
    }
    thread::scope(|scope| {
        for share in shares {
            scope.spawn(|| {
                for (top, pixels) in share {
                    draw_band(&parts, camera, top, pixels);
                }
            });
        }
    });
    RgbImage { width, height, data }
}

/// The parts of all figures, in the camera's frame.
fn parts_in_view(scene: &Scene, camera: &Camera) -> Vec<Part> {
    let mut parts = Vec::new();
    for figure in &scene.figures {
        let motion = camera.view() * figure.placement();
        let skeleton = Skeleton::new(&figure.pose);
        parts.extend(body(&skeleton, &figure.clothes).iter().map(|part| part.moved(&motion)));
    }
    parts
}

/// Draws the rows from `top` on that `pixels` holds.
fn draw_band(parts: &[Part], camera: &Camera, top: u32, pixels: &mut [u8]) {
    let rows = top..top + pixels.len() as u32 / 3 / camera.width;
    let in_band: Vec<Part> =
        parts.iter().filter_map(|part| showing(part, camera, &(0..camera.width), &rows)).collect();
    for left in (0..camera.width).step_by(TILE as usize) {
        let columns = left..(left + TILE).min(camera.width);
        let tile = Tile::new(&in_band, camera, &columns, &rows);
        tile.draw(camera, &columns, &rows, pixels);
    }
}

/// The part reduced to the shapes that can show in the given columns and rows.
fn showing(part: &Part, camera: &Camera, columns: &Range<u32>, rows: &Range<u32>) -> Option<Part> {
    // A shape pulls on its neighbours' surface from at most 1.25 blend widths away.
    let margin = 1.25 * part.blend + 0.005;
    let shows = |shape: &&Shape| {
        let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
        for (centre, radius) in shape.bounds() {
            let radius = radius + margin;
            let (near, far) = (-centre.z - radius, -centre.z + radius);
            if near <= 0.0 {
                return true;
            }
            for (axis, at) in [centre.x, -centre.y].into_iter().enumerate() {
                low[axis] = low[axis].min(((at - radius) / near).min((at - radius) / far));
                high[axis] = high[axis].max(((at + radius) / near).max((at + radius) / far));
            }
        }
        let overlaps = |axis: usize, range: &Range<u32>, size: u32| {
            let origin = size as f32 / 2.0;
            low[axis] * camera.focal_px() + origin <= range.end as f32
                && high[axis] * camera.focal_px() + origin >= range.start as f32
        };
        overlaps(0, columns, camera.width) && overlaps(1, rows, camera.height)
    };
    let shapes: Vec<Shape> = part.shapes().iter().filter(shows).copied().collect();
    (!shapes.is_empty()).then(|| part.with_shapes(shapes))
}

/// A tile's solids and the range of rays that can hit them.
struct Tile {
    parts: Vec<Part>,
    near: f32,
    far: f32,
}

impl Tile {
    fn new(parts: &[Part], camera: &Camera, columns: &Range<u32>, rows: &Range<u32>) -> Self {
        let parts: Vec<Part> =
            parts.iter().filter_map(|part| showing(part, camera, columns, rows)).collect();
        let (mut near, mut far) = (f32::INFINITY, 0.0_f32);
        for (centre, radius) in parts.iter().map(Part::hull) {
            near = near.min(centre.length() - radius);
            far = far.max(centre.length() + radius);
        }
        Self { parts, near: near.max(0.0), far }
    }

    /// Draws the tile's pixels into `band`, whose first row is `rows.start`.
    fn draw(&self, camera: &Camera, columns: &Range<u32>, rows: &Range<u32>, band: &mut [u8]) {
        let mut above = self.corners(camera, columns, rows.start);
        for y in rows.clone() {
            let below = self.corners(camera, columns, y + 1);
            for (i, x) in columns.clone().enumerate() {
                let corners = [above[i], above[i + 1], below[i], below[i + 1]];
                let at = ((y - rows.start) * camera.width + x) as usize * 3;
                band[at..at + 3].copy_from_slice(&self.pixel(camera, (x, y), corners));
            }
            above = below;
        }
    }

    /// Colours at the pixel corners along the top edge of row `y`.
    fn corners(&self, camera: &Camera, columns: &Range<u32>, y: u32) -> Vec<Vec3> {
        (columns.start..=columns.end).map(|x| self.sample(camera, x as f32, y as f32)).collect()
    }

    /// The mean of the corners where they agree; where an edge passes, of samples inside.
    fn pixel(&self, camera: &Camera, (x, y): (u32, u32), corners: [Vec3; 4]) -> [u8; 3] {
        let low = corners.into_iter().fold(Vec3::INFINITY, Vec3::min);
        let high = corners.into_iter().fold(Vec3::NEG_INFINITY, Vec3::max);
        if (high - low).max_element() < EDGE_CONTRAST {
            return quantise(corners.into_iter().sum::<Vec3>() / corners.len() as f32);
        }
        let sample = |(dx, dy)| self.sample(camera, x as f32 + dx, y as f32 + dy);
        quantise(SAMPLES.into_iter().map(sample).sum::<Vec3>() / SAMPLES.len() as f32)
    }

    /// The colour at a point of the picture, in pixels from its top left corner.
    fn sample(&self, camera: &Camera, x: f32, y: f32) -> Vec3 {
        let (width, height) = (camera.width as f32, camera.height as f32);
        let direction = vec3(x - width / 2.0, height / 2.0 - y, -camera.focal_px()).normalize();
        self.trace(direction).unwrap_or_else(|| backdrop(y / height))
    }

    /// The colour that the ray from the camera along `direction` hits, if any.
    fn trace(&self, direction: Vec3) -> Option<Vec3> {
        let mut travelled = self.near;
        for _ in 0..STEPS_MAX {
            let at = direction * travelled;
            let (distance, part) = self.nearest(at)?;
            if distance < HIT_M {
                return Some(shade(part, at));
            }
            travelled += distance;
            if travelled > self.far {
                return None;
            }
        }
        None
    }

    fn nearest(&self, at: Vec3) -> Option<(f32, &Part)> {
        let mut nearest: Option<(f32, &Part)> = None;
        for part in &self.parts {
            let distance = part.distance(at);
            if nearest.is_none_or(|(least, _)| distance < least) {
                nearest = Some((distance, part));
            }
        }
        nearest
    }
}

fn shade(part: &Part, at: Vec3) -> Vec3 {
    let normal = normal(part, at);
    let light = 0.42 + 0.5 * normal.dot(KEY_LIGHT).max(0.0) + 0.2 * normal.dot(FILL_LIGHT).max(0.0);
    part.colour * light
}

/// The gradient of the distance, from four samples on a tetrahedron.
fn normal(part: &Part, at: Vec3) -> Vec3 {
    const CORNERS: [Vec3; 4] =
        [vec3(1.0, -1.0, -1.0), vec3(-1.0, -1.0, 1.0), vec3(-1.0, 1.0, -1.0), vec3(1.0, 1.0, 1.0)];
    CORNERS.into_iter().map(|c| c * part.distance(at + 1e-3 * c)).sum::<Vec3>().normalize_or_zero()
}

/// A plain wall over a floor, `down` picture heights from the top.
fn backdrop(down: f32) -> Vec3 {
    if down < 0.84 {
        vec3(0.80, 0.81, 0.83) - down * vec3(0.16, 0.13, 0.09)
    } else {
        vec3(0.60, 0.53, 0.45)
    }
}

fn quantise(colour: Vec3) -> [u8; 3] {
    // A float-to-integer cast saturates, so over-bright colours clip at white.
    (colour * 255.0 + 0.5).to_array().map(|channel| channel as u8)
}
