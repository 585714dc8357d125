//! A part of a series whose length is not known, spread evenly over it, in bounded memory.

/// At most `N` values of a series: the first, and then one of so many.
#[derive(Debug)]
pub(super) struct EvenSample<T, const N: usize> {
    values: Vec<T>,
    /// One of so many values is kept.
    stride: usize,
    /// How many follow that are not kept.
    skipped: usize,
}

impl<T, const N: usize> Default for EvenSample<T, N> {
    fn default() -> Self {
        // What is kept after every second value is dropped has to go on at twice the stride.
        const { assert!(N > 0 && N.is_multiple_of(2)) };
        Self { values: Vec::new(), stride: 1, skipped: 0 }
    }
}

impl<T, const N: usize> EvenSample<T, N> {
    /// Adds the next value of the series.
    pub(super) fn add(&mut self, value: T) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        if self.values.len() == N {
            let mut is_kept = false;
            self.values.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
            self.stride *= 2;
        }
        self.values.push(value);
        self.skipped = self.stride - 1;
    }

    /// The values that are kept.
    pub(super) fn values(&self) -> &[T] {
        &self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_spread_evenly_and_bounded() {
        let mut sample = EvenSample::<u32, 4>::default();
        let kept = |sample: &EvenSample<u32, 4>| sample.values().to_vec();
        (0..4).for_each(|n| sample.add(n));
        assert_eq!(kept(&sample), [0, 1, 2, 3]);
        (4..7).for_each(|n| sample.add(n));
        assert_eq!(kept(&sample), [0, 2, 4, 6]);
        (7..1000).for_each(|n| sample.add(n));
        assert_eq!(kept(&sample), [0, 256, 512, 768]);
    }
}
