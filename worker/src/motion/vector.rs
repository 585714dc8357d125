//! Vectors in space.

/// Three coordinates.
pub type Vector = [f64; 3];

/// The sum.
pub fn add(a: Vector, b: Vector) -> Vector {
    [a[0] + b[0], a[1] + b[1], a[2] + b[2]]
}

/// The difference.
pub fn subtract(a: Vector, b: Vector) -> Vector {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// Each coordinate times a factor.
pub fn scale(a: Vector, factor: f64) -> Vector {
    a.map(|value| value * factor)
}

/// The scalar product.
pub fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// The vector product.
pub fn cross(a: Vector, b: Vector) -> Vector {
    [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
}

/// The length.
pub fn length(a: Vector) -> f64 {
    dot(a, a).sqrt()
}

/// The direction; none of a vector without length.
pub fn unit(a: Vector) -> Option<Vector> {
    let length = length(a);
    // False for NaN as well.
    (length > 1e-9).then(|| scale(a, 1.0 / length))
}
