//! Applies a filter of evenly sampled values to series whose times may be uneven.
//!
//! Where each step is within a tenth of the mean one, the values are taken as they are, at the mean rate: containers
//! round times to milliseconds. Otherwise (a variable frame rate, dropped frames) they are interpolated at even steps
//! of the median one, filtered, and interpolated back at their own times.

use super::interpolation::Interpolation;
use super::outliers::median;

/// Largest deviation of a step from the mean one, as a share of it, for steps to be even.
const JITTER_MAX: f64 = 0.1;
/// Most interpolated values for each original one: limits what few very short steps among long ones cost.
const DENSITY_MAX: f64 = 4.0;

/// Runs `filter` with the values at even times and their rate in hertz. All values are known; times ascend.
pub(super) fn apply(times: &[f64], values: &mut [f64], filter: impl Fn(&mut [f64], f64)) {
    let steps = times.len().saturating_sub(1) as f64;
    let duration = times.last().zip(times.first()).map_or(0.0, |(last, first)| last - first);
    if duration <= 0.0 {
        return;
    }
    let mean = duration / steps;
    let mut each: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    if each.iter().all(|step| (step / mean - 1.0).abs() <= JITTER_MAX) {
        return filter(values, 1.0 / mean);
    }
    let count = (duration / median(&mut each).max(mean / DENSITY_MAX)).round().max(1.0);
    let even: Vec<f64> =
        (0..=count as usize).map(|i| times[0] + duration * i as f64 / count).collect();
    let curve = Interpolation::through(times, values);
    let mut evenly: Vec<f64> = even.iter().map(|time| curve.at(*time)).collect();
    filter(&mut evenly, count / duration);
    let curve = Interpolation::through(&even, &evenly);
    values.iter_mut().zip(times).for_each(|(value, time)| *value = curve.at(*time));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn rate(times: &[f64]) -> f64 {
        let rate = Cell::new(0.0);
        apply(times, &mut vec![0.0; times.len()], |_, hz| rate.set(hz));
        rate.get()
    }

    #[test]
    fn rounded_times_are_even_and_the_rate_is_the_mean_one() {
        let ntsc: Vec<f64> = (0..300).map(|i| f64::from(i) * 1001.0 / 60000.0).collect();
        let rounded: Vec<f64> = ntsc.iter().map(|time| (time * 1000.0).round() / 1000.0).collect();
        for times in [ntsc, rounded] {
            assert!((rate(&times) - 60.0 / 1.001).abs() < 0.01, "{}", rate(&times));
        }
    }

    #[test]
    fn uneven_times_see_the_filter_at_even_ones() {
        let mut times: Vec<f64> = (0..90).map(|i| f64::from(i) / 30.0).collect();
        times.retain(|time| (time * 30.0).round() as u32 % 7 != 3);
        let signal = |time: f64| (2.0 * time).sin();
        let mut values: Vec<f64> = times.iter().map(|time| signal(*time)).collect();
        let count = Cell::new(0);
        apply(&times, &mut values, |values, hz| {
            assert!((hz - 30.0).abs() < 0.4, "{hz}");
            count.set(values.len());
            values.iter_mut().for_each(|value| *value *= 2.0);
        });
        assert!((88..=90).contains(&count.get()), "{}", count.get());
        for (time, value) in times.iter().zip(&values) {
            assert!((value - 2.0 * signal(*time)).abs() < 5e-3, "{time}: {value}");
        }
    }

    #[test]
    fn few_short_steps_do_not_multiply_the_values() {
        let mut times = vec![0.0];
        for _ in 0..50 {
            let last = times[times.len() - 1];
            times.extend([last + 1e-6, last + 2e-6, last + 0.4]);
        }
        let count = times.len();
        apply(&times, &mut vec![1.0; count], |values, _| {
            assert!(values.len() <= 4 * count + 1, "{} of {count}", values.len());
        });
    }

    #[test]
    fn one_value_and_none_stay() {
        for mut values in [vec![], vec![4.0]] {
            let times = vec![0.0; values.len()];
            apply(&times, &mut values, |_, _| panic!("there is no rate"));
        }
    }
}
