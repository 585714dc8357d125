//! Rotations in space: unit quaternions.

use super::vector::{Vector, add, cross, dot, scale, unit};

/// A rotation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rotation {
    real: f64,
    imaginary: Vector,
}

impl Rotation {
    /// No rotation.
    pub const NONE: Self = Self { real: 1.0, imaginary: [0.0; 3] };

    /// Turns the axes to these, of which the first is kept and the second made orthogonal to it: Z to `forwards`, X
    /// to about `left`. None if they have no direction or the same one.
    pub fn of_forwards(forwards: Vector, left: Vector) -> Option<Self> {
        let forwards = unit(forwards)?;
        let up = unit(cross(forwards, left))?;
        Some(Self::of_axes([cross(up, forwards), up, forwards]))
    }

    /// The same with X to `left` and Y to about `up`.
    pub fn of_left(left: Vector, up: Vector) -> Option<Self> {
        let left = unit(left)?;
        let forwards = unit(cross(left, up))?;
        Some(Self::of_axes([left, cross(forwards, left), forwards]))
    }

    /// The same with Y to `up` and X to about `left`.
    pub fn of_up(up: Vector, left: Vector) -> Option<Self> {
        let up = unit(up)?;
        let forwards = unit(cross(left, up))?;
        Some(Self::of_axes([cross(up, forwards), up, forwards]))
    }

    /// The shortest rotation that turns one direction, of length 1, to another.
    pub fn between(from: Vector, to: Vector) -> Self {
        let cosine = dot(from, to);
        if cosine < -0.999_999 {
            // Any axis across does.
            let axis =
                unit(cross(from, [0.0, 0.0, 1.0])).or_else(|| unit(cross(from, [0.0, 1.0, 0.0])));
            return Self { real: 0.0, imaginary: axis.unwrap_or([1.0, 0.0, 0.0]) };
        }
        Self { real: 1.0 + cosine, imaginary: cross(from, to) }.normalized()
    }

    /// First the other rotation, then this one.
    #[must_use]
    pub fn after(self, first: Self) -> Self {
        let imaginary = add(
            add(scale(first.imaginary, self.real), scale(self.imaginary, first.real)),
            cross(self.imaginary, first.imaginary),
        );
        let real = self.real * first.real - dot(self.imaginary, first.imaginary);
        Self { real, imaginary }.normalized()
    }

    /// The rotation back.
    #[must_use]
    pub fn inverse(self) -> Self {
        Self { imaginary: scale(self.imaginary, -1.0), ..self }
    }

    /// The rotated vector.
    pub fn rotate(self, vector: Vector) -> Vector {
        let twice = scale(cross(self.imaginary, vector), 2.0);
        add(add(vector, scale(twice, self.real)), cross(self.imaginary, twice))
    }

    /// Three rotations that in sequence, in degrees and from the last to the first, are this one: about Z, X and Y.
    pub fn zxy_degrees(self) -> [f64; 3] {
        let [x, y, z] =
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]].map(|axis| self.rotate(axis));
        let about_x = y[2].clamp(-1.0, 1.0).asin();
        let [about_z, about_y] = if y[2].abs() < 0.999_999 {
            [(-y[0]).atan2(y[1]), (-x[2]).atan2(z[2])]
        } else {
            // About Z and Y is about the same axis.
            [x[1].atan2(x[0]), 0.0]
        };
        [about_z, about_x, about_y].map(f64::to_degrees)
    }

    /// The quaternion: x, y, z, w. Of both that stand for the rotation the one nearer to the other quaternion.
    pub fn quaternion_near(self, other: [f64; 4]) -> [f64; 4] {
        let [x, y, z] = self.imaginary;
        let quaternion = [x, y, z, self.real];
        let cosine: f64 = quaternion.iter().zip(other).map(|(a, b)| a * b).sum();
        quaternion.map(|value| if cosine < 0.0 { -value } else { value })
    }

    /// The rotation of a quaternion: x, y, z, w.
    pub fn of_quaternion([x, y, z, w]: [f64; 4]) -> Self {
        Self { real: w, imaginary: [x, y, z] }.normalized()
    }

    /// By the largest of its four parts, which is at least a half (Shepperd, J Guid Control 1:223, 1978).
    fn of_axes([x, y, z]: [Vector; 3]) -> Self {
        let trace = x[0] + y[1] + z[2];
        let largest = [trace, x[0], y[1], z[2]].into_iter().fold(f64::MIN, f64::max);
        let quaternion = if largest == trace {
            [1.0 + trace, y[2] - z[1], z[0] - x[2], x[1] - y[0]]
        } else if largest == x[0] {
            [y[2] - z[1], 1.0 + x[0] - y[1] - z[2], y[0] + x[1], z[0] + x[2]]
        } else if largest == y[1] {
            [z[0] - x[2], y[0] + x[1], 1.0 + y[1] - x[0] - z[2], z[1] + y[2]]
        } else {
            [x[1] - y[0], z[0] + x[2], z[1] + y[2], 1.0 + z[2] - x[0] - y[1]]
        };
        let [real, i, j, k] = quaternion;
        Self { real, imaginary: [i, j, k] }.normalized()
    }

    fn normalized(self) -> Self {
        let length = (self.real * self.real + dot(self.imaginary, self.imaginary)).sqrt();
        Self { real: self.real / length, imaginary: scale(self.imaginary, 1.0 / length) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::vector::subtract;
    use super::*;

    const AXES: [Vector; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

    fn apart(a: Vector, b: Vector) -> f64 {
        subtract(a, b).into_iter().map(f64::abs).fold(0.0, f64::max)
    }

    fn random_directions(count: usize) -> Vec<Vector> {
        let mut random = fastrand::Rng::with_seed(11);
        (0..count).map(|_| [0; 3].map(|_| random.f64() - 0.5)).filter_map(unit).collect()
    }

    #[test]
    fn axes_are_turned_to_those_that_were_given() {
        for pair in random_directions(200).chunks(2) {
            let rotation = Rotation::of_forwards(pair[0], pair[1]).expect("a rotation");
            assert!(apart(rotation.rotate(AXES[2]), pair[0]) < 1e-9);
            assert!(dot(rotation.rotate(AXES[0]), pair[1]) > 0.0);
            let rotation = Rotation::of_left(pair[0], pair[1]).expect("a rotation");
            assert!(apart(rotation.rotate(AXES[0]), pair[0]) < 1e-9);
            assert!(dot(rotation.rotate(AXES[1]), pair[1]) > 0.0);
            let rotation = Rotation::of_up(pair[0], pair[1]).expect("a rotation");
            assert!(apart(rotation.rotate(AXES[1]), pair[0]) < 1e-9);
            assert!(dot(rotation.rotate(AXES[0]), pair[1]) > 0.0);
            let rotation = Rotation::between(pair[0], pair[1]);
            assert!(apart(rotation.rotate(pair[0]), pair[1]) < 1e-9);
        }
        assert_eq!(Rotation::of_left(AXES[0], AXES[0]), None);
        let back = Rotation::between(AXES[2], [0.0, 0.0, -1.0]);
        assert!(apart(back.rotate(AXES[2]), [0.0, 0.0, -1.0]) < 1e-9);
    }

    #[test]
    fn rotations_follow_each_other_and_are_undone() {
        for four in random_directions(200).chunks(4) {
            let [a, b] = [0, 2].map(|i| Rotation::between(four[i], four[i + 1]));
            let both = b.after(a);
            assert!(apart(both.rotate(four[3]), b.rotate(a.rotate(four[3]))) < 1e-9);
            assert!(apart(both.inverse().rotate(both.rotate(four[1])), four[1]) < 1e-9);
            let near = Rotation::of_quaternion(both.quaternion_near([-1.0, 0.0, 0.0, 0.0]));
            assert!(both.quaternion_near([-1.0, 0.0, 0.0, 0.0])[0] <= 0.0);
            assert!(apart(near.rotate(four[2]), both.rotate(four[2])) < 1e-9);
        }
    }

    #[test]
    fn angles_about_z_x_and_y_give_the_rotation_again() {
        let about = |axis: usize, degrees: f64| {
            let (sin, cos) = (degrees.to_radians() / 2.0).sin_cos();
            Rotation { real: cos, imaginary: scale(AXES[axis], sin) }
        };
        let mut rotations: Vec<Rotation> = random_directions(200)
            .chunks(2)
            .map(|pair| Rotation::between(pair[0], pair[1]))
            .collect();
        rotations.extend([about(0, 90.0), about(0, -90.0), about(0, 90.0).after(about(1, 30.0))]);
        for rotation in rotations {
            let [z, x, y] = rotation.zxy_degrees();
            let again = about(2, z).after(about(0, x)).after(about(1, y));
            for axis in AXES {
                let apart = apart(again.rotate(axis), rotation.rotate(axis));
                assert!(apart < 1e-3, "{rotation:?}: {apart}");
            }
        }
    }
}
