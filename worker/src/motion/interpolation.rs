//! Piecewise cubic interpolation that does not overshoot.

/// The curve through known points whose values stay between those of neighbouring points: PCHIP (Fritsch and Butland,
/// "A method for constructing local monotone piecewise cubic interpolants", SIAM J Sci Stat Comput 5:300, 1984).
pub(super) struct Interpolation<'a> {
    times: &'a [f64],
    values: &'a [f64],
    slopes: Vec<f64>,
}

impl<'a> Interpolation<'a> {
    /// Through these points, of which there is at least one; times ascend and all values are known.
    pub(super) fn through(times: &'a [f64], values: &'a [f64]) -> Self {
        Self { times, values, slopes: slopes(times, values) }
    }

    /// The value at a time; before the first and after the last point it is that of the point.
    pub(super) fn at(&self, time: f64) -> f64 {
        let next = self.times.partition_point(|known| *known <= time);
        if next == 0 {
            return self.values[0];
        }
        let last = next - 1;
        if next == self.times.len() {
            return self.values[last];
        }
        let step = self.times[next] - self.times[last];
        let (share, rest) = ((time - self.times[last]) / step, (self.times[next] - time) / step);
        // The cubic Hermite basis.
        let weight = |share: f64| share * share * (3.0 - 2.0 * share);
        let bend = step * share * rest;
        self.values[last] * weight(rest)
            + self.values[next] * weight(share)
            + bend * (rest * self.slopes[last] - share * self.slopes[next])
    }
}

/// The slope of the curve at each point.
fn slopes(times: &[f64], values: &[f64]) -> Vec<f64> {
    let steps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let chords: Vec<f64> =
        values.windows(2).zip(&steps).map(|(pair, step)| (pair[1] - pair[0]) / step).collect();
    match chords.len() {
        0 => return vec![0.0; times.len()],
        1 => return vec![chords[0]; 2],
        _ => {}
    }
    let mut slopes = Vec::with_capacity(times.len());
    slopes.push(slope_at_end([steps[0], steps[1]], [chords[0], chords[1]]));
    for (steps, chords) in steps.windows(2).zip(chords.windows(2)) {
        slopes.push(slope_between([steps[0], steps[1]], [chords[0], chords[1]]));
    }
    let last = steps.len() - 1;
    slopes.push(slope_at_end([steps[last], steps[last - 1]], [chords[last], chords[last - 1]]));
    slopes
}

/// The weighted harmonic mean of both chords; flat where the direction changes.
fn slope_between(steps: [f64; 2], chords: [f64; 2]) -> f64 {
    if chords[0] * chords[1] <= 0.0 {
        return 0.0;
    }
    let weights = [steps[0] + 2.0 * steps[1], 2.0 * steps[0] + steps[1]];
    (weights[0] + weights[1]) / (weights[0] / chords[0] + weights[1] / chords[1])
}

/// The slope of a parabola through the outermost three points, limited so that it does not overshoot. Steps and chords
/// are in order from the end.
fn slope_at_end(steps: [f64; 2], chords: [f64; 2]) -> f64 {
    let slope =
        ((2.0 * steps[0] + steps[1]) * chords[0] - steps[0] * chords[1]) / (steps[0] + steps[1]);
    if slope * chords[0] <= 0.0 {
        0.0
    } else if chords[0] * chords[1] <= 0.0 && slope.abs() > 3.0 * chords[0].abs() {
        3.0 * chords[0]
    } else {
        slope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_continued_and_the_ends_are_held() {
        let curve = Interpolation::through(&[0.0, 1.0, 3.0, 4.0], &[1.0, 3.0, 7.0, 9.0]);
        for time in [0.0, 0.25, 1.0, 2.5, 3.9] {
            assert!((curve.at(time) - (1.0 + 2.0 * time)).abs() < 1e-12, "{time}");
        }
        assert_eq!([curve.at(-1.0), curve.at(4.0), curve.at(9.0)], [1.0, 9.0, 9.0]);
        assert_eq!(Interpolation::through(&[2.0], &[5.0]).at(0.0), 5.0);
    }

    #[test]
    fn between_two_points_no_value_is_beyond_them() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let times: Vec<f64> = (0..8).map(|i| f64::from(i) + 0.9 * random.f64()).collect();
            let values: Vec<f64> = (0..8).map(|_| random.f64() - 0.5).collect();
            let curve = Interpolation::through(&times, &values);
            for (times, values) in times.windows(2).zip(values.windows(2)) {
                let (low, high) = (values[0].min(values[1]), values[0].max(values[1]));
                for share in [0.1, 0.3, 0.5, 0.7, 0.9] {
                    let value = curve.at(times[0] + share * (times[1] - times[0]));
                    assert!((low - 1e-12..=high + 1e-12).contains(&value), "{value}: {values:?}");
                }
            }
        }
    }
}
