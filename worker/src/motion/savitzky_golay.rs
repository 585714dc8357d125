//! The Savitzky-Golay filter: each value becomes that of the polynomial that fits its neighbours best.
//!
//! At even times equal to SciPy's `savgol_filter(values, window, order)`, at the ends too, where the polynomial of the
//! outermost window is used (mode `interp`). The polynomials are fitted at the values' own times, so uneven ones need no
//! interpolation.

/// The filter's parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SavitzkyGolay {
    /// Values in a window, an odd number. A shorter series has windows of its own length.
    pub(super) window: usize,
    /// Degree of the polynomials.
    pub(super) order: usize,
}

impl SavitzkyGolay {
    /// Filters a series without missing values. One that is too short for the order stays as it is.
    pub(super) fn apply(&self, times: &[f64], values: &mut [f64]) {
        let count = values.len();
        let longest = count.saturating_sub(1 - count % 2);
        let window = self.window.min(longest);
        if window <= self.order {
            return;
        }
        let smooth: Vec<f64> = (0..count)
            .map(|i| {
                let first = i.saturating_sub(window / 2).min(count - window);
                let neighbours = first..first + window;
                fit(&times[neighbours.clone()], &values[neighbours], self.order, i - first)
            })
            .collect();
        values.copy_from_slice(&smooth);
    }
}

/// The value at one of the points of the polynomial that fits all of them best, by polynomials that are orthogonal on
/// the points (Forsythe, "Generation and use of orthogonal polynomials", J SIAM 5:74, 1957).
fn fit(times: &[f64], values: &[f64], order: usize, at: usize) -> f64 {
    let middle = (times[0] + times[times.len() - 1]) / 2.0;
    let scale = (times[times.len() - 1] - times[0]).max(f64::MIN_POSITIVE) / 2.0;
    let position = |i: usize| (times[i] - middle) / scale;
    let points = times.len();
    let (mut last, mut polynomial) = (vec![0.0; points], vec![1.0; points]);
    let mut last_norm = 1.0;
    let mut value = 0.0;
    for degree in 0..=order {
        let norm: f64 = polynomial.iter().map(|p| p * p).sum();
        let projection: f64 = polynomial.iter().zip(values).map(|(p, value)| p * value).sum();
        value += projection / norm * polynomial[at];
        let centre =
            polynomial.iter().enumerate().map(|(i, p)| position(i) * p * p).sum::<f64>() / norm;
        let share = if degree == 0 { 0.0 } else { norm / last_norm };
        for i in 0..points {
            let next = (position(i) - centre) * polynomial[i] - share * last[i];
            last[i] = polynomial[i];
            polynomial[i] = next;
        }
        last_norm = norm;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTER: SavitzkyGolay = SavitzkyGolay { window: 9, order: 3 };

    #[test]
    fn a_cubic_at_uneven_times_is_unchanged() {
        let mut random = fastrand::Rng::with_seed(5);
        let times: Vec<f64> = (0..40).map(|i| (f64::from(i) + 0.8 * random.f64()) / 30.0).collect();
        let cubic = |t: f64| 0.3 - t + 2.0 * t * t - 1.5 * t * t * t;
        let mut values: Vec<f64> = times.iter().map(|time| cubic(*time)).collect();
        FILTER.apply(&times, &mut values);
        for (time, value) in times.iter().zip(&values) {
            assert!((value - cubic(*time)).abs() < 1e-9, "{time}: {value}");
        }
    }

    #[test]
    fn noise_is_damped() {
        let mut random = fastrand::Rng::with_seed(6);
        let times: Vec<f64> = (0..300).map(|i| f64::from(i) / 30.0).collect();
        let mut values: Vec<f64> = times.iter().map(|_| random.f64() - 0.5).collect();
        let power = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        let before = power(&values);
        FILTER.apply(&times, &mut values);
        assert!(power(&values) < 0.35 * before, "{} of {before}", power(&values));
    }

    #[test]
    fn short_series_have_shorter_windows_and_very_short_ones_stay() {
        for count in 0..12_u32 {
            let times: Vec<f64> = (0..count).map(f64::from).collect();
            let zigzag = |i: u32| if i.is_multiple_of(2) { 1.0 } else { -1.0 };
            let before: Vec<f64> = (0..count).map(zigzag).collect();
            let mut after = before.clone();
            FILTER.apply(&times, &mut after);
            assert_eq!(after == before, count < 5, "{count}: {after:?}");
        }
    }
}
