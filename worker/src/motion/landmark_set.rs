//! A set of landmarks.

use bodyscript_protocol::pose::LANDMARKS;

/// A set of landmarks of one pose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LandmarkSet(u64);

const _: () = assert!(LANDMARKS <= u64::BITS as usize);

impl LandmarkSet {
    /// Whether the landmark is in the set.
    pub const fn contains(self, landmark: usize) -> bool {
        self.0 & 1 << landmark != 0
    }

    /// Whether there is none in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds a landmark.
    pub const fn insert(&mut self, landmark: usize) {
        self.0 |= 1 << landmark;
    }

    /// Those that are in one of both sets only.
    #[must_use]
    pub const fn symmetric_difference(self, other: Self) -> Self {
        Self(self.0 ^ other.0)
    }
}

impl FromIterator<usize> for LandmarkSet {
    fn from_iter<T: IntoIterator<Item = usize>>(landmarks: T) -> Self {
        let mut set = Self::default();
        landmarks.into_iter().for_each(|landmark| set.insert(landmark));
        set
    }
}
