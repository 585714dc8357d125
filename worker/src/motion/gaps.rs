//! Fills short runs of missing values.
//!
//! By cubic interpolation that does not overshoot ([`super::interpolation`]). A natural spline follows a smooth movement
//! a little closer, but noise beside a gap makes it exceed all known values, and nothing bounds by how much; here
//! a filled value is always between the two known ones at the ends of its gap.

use super::interpolation::Interpolation;
use std::ops::Range;

/// Fills the gaps whose ends are at most this far apart, in seconds; longer ones stay, and so does what is missing
/// before the first and after the last known value. Known values on the far side of a longer gap have no influence.
pub(super) fn fill(times: &[f64], values: &mut [f64], gap_s_max: f64) {
    let known: Vec<usize> = (0..values.len()).filter(|i| !values[*i].is_nan()).collect();
    for piece in known.chunk_by(|last, next| times[*next] - times[*last] <= gap_s_max) {
        if piece.len() == piece[piece.len() - 1] + 1 - piece[0] {
            continue;
        }
        let known_times: Vec<f64> = piece.iter().map(|i| times[*i]).collect();
        let known_values: Vec<f64> = piece.iter().map(|i| values[*i]).collect();
        let curve = Interpolation::through(&known_times, &known_values);
        for pair in piece.windows(2) {
            for i in pair[0] + 1..pair[1] {
                values[i] = curve.at(times[i]);
            }
        }
    }
}

/// The runs of known values in which no two neighbours are further apart than this, in seconds.
pub(super) fn runs(times: &[f64], values: &[f64], gap_s_max: f64) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for i in (0..values.len()).filter(|i| !values[*i].is_nan()) {
        match runs.last_mut() {
            Some(run) if run.end == i && times[i] - times[i - 1] <= gap_s_max => run.end += 1,
            _ => runs.push(i..i + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: f64 = f64::NAN;

    fn times(count: u32) -> Vec<f64> {
        (0..count).map(|i| f64::from(i) / 10.0).collect()
    }

    #[test]
    fn gaps_up_to_the_limit_are_filled_and_longer_ones_stay() {
        let mut values: Vec<f64> = (0..20).map(f64::from).collect();
        values[0] = MISSING;
        values[3..6].fill(MISSING);
        values[10..14].fill(MISSING);
        values[19] = MISSING;
        fill(&times(20), &mut values, 0.401);
        let missing: Vec<usize> = (0..20).filter(|i| values[*i].is_nan()).collect();
        assert_eq!(missing, [0, 10, 11, 12, 13, 19], "the ends of the first gap are 0.4 s apart");
        for (i, value) in (3..6).zip(&values[3..6]) {
            assert!((value - f64::from(i)).abs() < 1e-12, "{i}: {value}");
        }
    }

    #[test]
    fn what_is_beyond_a_long_gap_does_not_matter() {
        let with_far_side = |far: f64| {
            let mut values = vec![MISSING; 20];
            values[..4].copy_from_slice(&[0.0, 1.0, MISSING, 2.0]);
            values[12..].fill(far);
            fill(&times(20), &mut values, 0.5);
            values[2]
        };
        assert_eq!(with_far_side(3.0), with_far_side(-500.0));
    }

    #[test]
    fn series_without_known_values_or_with_one_stay_as_they_are() {
        for mut values in [vec![], vec![MISSING; 3], vec![MISSING, 2.0, MISSING]] {
            let known = values.iter().filter(|value| !value.is_nan()).count();
            fill(&times(3), &mut values, 1.0);
            assert_eq!(values.iter().filter(|value| !value.is_nan()).count(), known);
        }
    }

    #[test]
    fn runs_end_at_missing_values_and_at_breaks_in_time() {
        let values = [1.0, 2.0, MISSING, 3.0, 4.0, 5.0];
        let times = [0.0, 0.1, 0.2, 0.3, 0.4, 2.0];
        assert_eq!(runs(&times, &values, 0.5), [0..2, 3..5, 5..6]);
    }
}
