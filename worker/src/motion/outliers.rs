//! Finds single wrong values in a series: the Hampel identifier about a line.
//!
//! A value is an outlier if it is far from where its neighbours lead, measured by how far they themselves are from
//! there (Hampel, "The influence curve and its role in robust estimation", J Am Stat Assoc 69:383, 1974): both are
//! medians. They are taken about the line of the neighbours' median slope (Theil and Sen), because in fast movement
//! the distance of neighbours from a constant is larger than most errors.

/// Standard deviations of a normal distribution in its median absolute deviation.
const SIGMA_IN_MAD: f64 = 1.4826;
/// Fewer known values than this say nothing about one of them.
const KNOWN_MIN: usize = 5;
/// Most neighbours on each side: more would cost time and add nothing.
pub(super) const NEIGHBOURS_MAX: usize = 7;

/// The identifier's parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hampel {
    /// Neighbours are the values up to this far before and after, in seconds.
    pub reach_s: f64,
    /// Deviations from the median that make an outlier, in robust standard deviations.
    pub sigmas: f64,
}

impl Default for Hampel {
    /// Six deviations within a fifth of a second to each side: the deviation of so few values is itself uncertain, and
    /// the usual three would reject ordinary noise.
    fn default() -> Self {
        Self { reach_s: 0.2, sigmas: 6.0 }
    }
}

impl Hampel {
    /// Calls `found` with the index of each outlier from some index on. A deviation of at most `tolerance`, in the unit
    /// of the values, is none: where most neighbours are on a line their median deviation is zero, and any other value
    /// would be one.
    pub fn find(
        &self,
        times: &[f64],
        (values, from): (&[f64], usize),
        tolerance: f64,
        mut found: impl FnMut(usize),
    ) {
        let points: Vec<(f64, f64)> = times.iter().copied().zip(values.iter().copied()).collect();
        let mut neighbours = Neighbours::default();
        for i in (from..points.len()).filter(|i| !values[*i].is_nan()) {
            let (time, value) = points[i];
            let near = i.saturating_sub(NEIGHBOURS_MAX)..points.len().min(i + NEIGHBOURS_MAX + 1);
            let is_near = |(other, value): &&(f64, f64)| {
                (other - time).abs() <= self.reach_s && !value.is_nan()
            };
            neighbours.set(time, points[near].iter().filter(is_near));
            if neighbours.points.len() < KNOWN_MIN {
                continue;
            }
            let (median, deviation) = neighbours.median_and_deviation();
            if (value - median).abs() > (self.sigmas * SIGMA_IN_MAD * deviation).max(tolerance) {
                found(i);
            }
        }
    }
}

/// The values around one time.
#[derive(Default)]
struct Neighbours {
    /// Times from that one on, and values.
    points: Vec<(f64, f64)>,
    slopes: Vec<f64>,
    levels: Vec<f64>,
}

impl Neighbours {
    fn set<'a>(&mut self, time: f64, points: impl Iterator<Item = &'a (f64, f64)>) {
        self.points.clear();
        self.points.extend(points.map(|(other, value)| (other - time, *value)));
    }

    /// The median at the time, about the line of the median slope, and the median deviation from it.
    fn median_and_deviation(&mut self) -> (f64, f64) {
        self.slopes.clear();
        for (i, (time, value)) in self.points.iter().enumerate() {
            let later = self.points[i + 1..].iter();
            self.slopes.extend(later.map(|(other, next)| (next - value) / (other - time)));
        }
        let slope = median(&mut self.slopes);
        self.levels.clear();
        self.levels.extend(self.points.iter().map(|(time, value)| value - slope * time));
        let level = median(&mut self.levels);
        self.levels.iter_mut().for_each(|value| *value = (*value - level).abs());
        (level, median(&mut self.levels))
    }
}

/// The median of values, of which there is at least one; of an even number the upper of both in the middle.
pub(super) fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outliers(values: &[f64], tolerance: f64) -> Vec<usize> {
        let times: Vec<f64> = (0..values.len()).map(|i| i as f64 / 30.0).collect();
        let mut found = Vec::new();
        Hampel::default().find(&times, (values, 0), tolerance, |i| found.push(i));
        found
    }

    #[test]
    fn spikes_are_found_on_a_movement_and_its_turning_points_are_none() {
        let mut values: Vec<f64> = (0..120).map(|i| (f64::from(i) / 6.0).sin()).collect();
        assert_eq!(outliers(&values, 0.0), [0_usize; 0]);
        values[40] += 1.0;
        values[41] += 1.2;
        values[80] = -0.9;
        assert_eq!(outliers(&values, 0.0), [40, 41, 80]);
    }

    #[test]
    fn in_noise_few_values_are_rejected() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut normal = || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        let values: Vec<f64> = (0..3000).map(|_| normal()).collect();
        let rejected = outliers(&values, 0.0).len();
        assert!(rejected < 30, "{rejected} of {}", values.len());
    }

    #[test]
    fn without_any_deviation_the_tolerance_decides() {
        let mut values = [2.0; 20];
        values[10] = 2.25;
        assert_eq!(outliers(&values, 0.25), [0_usize; 0]);
        assert_eq!(outliers(&values, 0.2), [10]);
    }

    #[test]
    fn missing_values_are_no_neighbours_and_too_few_neighbours_have_no_median() {
        let mut values = [1.0; 20];
        values[10] = 9.0;
        values[5] = f64::NAN;
        values[9] = f64::NAN;
        assert_eq!(outliers(&values, 0.1), [10]);
        assert_eq!(outliers(&[1.0, 1.0, 9.0, 1.0], 0.1), [0_usize; 0]);
    }
}
