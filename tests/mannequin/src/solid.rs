//! Signed distance fields of the solids a body is made of, after
//! <https://iquilezles.org/articles/distfunctions/>. Called by the body and the renderer; pure
//! geometry in metres that knows nothing of people.

use glam::{Affine3A, Mat3, Vec3};

/// One solid.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// Two spheres and the hull between them.
    Capsule {
        /// Centre and radius of the first sphere.
        from: (Vec3, f32),
        /// Centre and radius of the second sphere.
        to: (Vec3, f32),
    },
    /// An ellipsoid with its own axes.
    Ellipsoid {
        /// Its centre.
        centre: Vec3,
        /// Semi-axes along its own x, y and z.
        radii: Vec3,
        /// Takes world directions to its own axes.
        to_axes: Mat3,
    },
}

impl Shape {
    pub(super) fn capsule(from: Vec3, from_radius: f32, to: Vec3, to_radius: f32) -> Self {
        Self::Capsule { from: (from, from_radius), to: (to, to_radius) }
    }

    pub(super) fn ellipsoid(centre: Vec3, radii: Vec3) -> Self {
        Self::Ellipsoid { centre, radii, to_axes: Mat3::IDENTITY }
    }

    /// Distance from `at` to the surface, negative inside; at most the true distance, near enough
    /// for sphere tracing.
    pub(super) fn distance(&self, at: Vec3) -> f32 {
        match *self {
            Self::Capsule { from: (a, ra), to: (b, rb) } => {
                let (pa, ba) = (at - a, b - a);
                let along = (pa.dot(ba) / ba.length_squared()).clamp(0.0, 1.0);
                (pa - along * ba).length() - (ra + (rb - ra) * along)
            }
            Self::Ellipsoid { centre, radii, to_axes } => {
                let scaled = (to_axes * (at - centre)) / radii;
                let near = scaled.length();
                // The floor keeps the centre itself, where the gradient vanishes, finite.
                near * (near - 1.0) / (scaled / radii).length().max(1e-6)
            }
        }
    }

    /// Two spheres whose hull contains the solid.
    pub(super) fn bounds(&self) -> [(Vec3, f32); 2] {
        match *self {
            Self::Capsule { from, to } => [from, to],
            Self::Ellipsoid { centre, radii, .. } => [(centre, radii.max_element()); 2],
        }
    }

    /// The solid carried along by a rigid motion.
    pub(super) fn moved(&self, motion: &Affine3A) -> Self {
        match *self {
            Self::Capsule { from, to } => Self::Capsule {
                from: (motion.transform_point3(from.0), from.1),
                to: (motion.transform_point3(to.0), to.1),
            },
            Self::Ellipsoid { centre, radii, to_axes } => Self::Ellipsoid {
                centre: motion.transform_point3(centre),
                radii,
                to_axes: to_axes * Mat3::from(motion.matrix3).transpose(),
            },
        }
    }
}

/// Solids of one colour, melted together over `blend` metres.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Reflectance, 0..=1 a channel, sRGB-encoded.
    pub(super) colour: Vec3,
    pub(super) blend: f32,
    shapes: Vec<Shape>,
    /// A sphere around all of it.
    hull: (Vec3, f32),
}

impl Part {
    pub(super) fn new(colour: Vec3, blend: f32, shapes: Vec<Shape>) -> Self {
        let hull = hull(&shapes);
        // Melting swells a surface by a quarter of the blend width at most for each neighbour.
        Self { colour, blend, shapes, hull: (hull.0, hull.1 + blend / 2.0) }
    }

    pub(super) fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// Centre and radius of a sphere around the part.
    pub(super) fn hull(&self) -> (Vec3, f32) {
        self.hull
    }

    /// Distance from `at` to the part's surface.
    pub(super) fn distance(&self, at: Vec3) -> f32 {
        self.shapes
            .iter()
            .map(|shape| shape.distance(at))
            .reduce(|a, b| smooth_min(a, b, self.blend))
            .unwrap_or(f32::INFINITY)
    }

    pub(super) fn moved(&self, motion: &Affine3A) -> Self {
        self.with_shapes(self.shapes.iter().map(|shape| shape.moved(motion)).collect())
    }

    pub(super) fn with_shapes(&self, shapes: Vec<Shape>) -> Self {
        Self::new(self.colour, self.blend, shapes)
    }
}

/// Polynomial smooth minimum; equals `min` where the two differ by `blend` or more.
fn smooth_min(a: f32, b: f32, blend: f32) -> f32 {
    let overlap = (blend - (a - b).abs()).max(0.0);
    a.min(b) - overlap * overlap / (4.0 * blend.max(1e-6))
}

/// A sphere around all the shapes: about the middle of their box.
fn hull(shapes: &[Shape]) -> (Vec3, f32) {
    let balls = || shapes.iter().flat_map(Shape::bounds);
    let low = balls().fold(Vec3::INFINITY, |low, (at, r)| low.min(at - r));
    let high = balls().fold(Vec3::NEG_INFINITY, |high, (at, r)| high.max(at + r));
    let centre = low.midpoint(high);
    (centre, balls().map(|(at, r)| at.distance(centre) + r).fold(0.0, f32::max))
}
