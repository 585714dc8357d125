//! An area of a picture that is covered.

/// All points that are at most as far from a line as its radius, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cover {
    /// The ends of the line.
    pub(crate) ends: [[f32; 2]; 2],
    /// The radius.
    pub(crate) radius: f32,
}

impl Cover {
    /// Any picture as a whole.
    pub(crate) const EVERYTHING: Self = Self { ends: [[0.0; 2]; 2], radius: 1e6 };
}

#[cfg(test)]
impl Cover {
    /// Whether a circle is covered to its edge.
    pub(super) fn contains(&self, [x, y]: [f32; 2], radius: f32) -> bool {
        let [[ax, ay], [bx, by]] = self.ends;
        let (along, across) = ([bx - ax, by - ay], [x - ax, y - ay]);
        let length_squared = along[0] * along[0] + along[1] * along[1];
        let share = (along[0] * across[0] + along[1] * across[1]) / length_squared.max(1e-9);
        let share = share.clamp(0.0, 1.0);
        let distance = (across[0] - share * along[0]).hypot(across[1] - share * along[1]);
        distance + radius <= self.radius + 1e-3
    }
}
