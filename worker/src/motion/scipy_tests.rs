//! Holds the filters against SciPy's. The series are written by `tests/scipy/filters.py`.

use super::savitzky_golay::SavitzkyGolay;
use super::{Butterworth, gaps};

/// Cases, one a line: filter, parameters, values before and after.
const CASES: &str = include_str!("../../../tests/scipy/filters.csv");

fn numbers(cell: &str) -> Vec<f64> {
    cell.split(' ').map(|number| number.parse().expect("a number")).collect()
}

/// Runs `filter` on the parameters and values of each case of this name, and compares.
fn compare(name: &str, cases: usize, filter: impl Fn(&[f64], &mut [f64])) {
    let mut compared = 0;
    for line in CASES.lines().filter(|line| line.split(',').next() == Some(name)) {
        let cells: Vec<Vec<f64>> = line.split(',').skip(1).map(numbers).collect();
        let [parameters, before, after] = &cells[..] else { panic!("four cells: {line}") };
        let mut values = before.clone();
        filter(parameters, &mut values);
        for (i, (value, after)) in values.iter().zip(after).enumerate() {
            let is_equal = (value - after).abs() < 1e-9 || value.is_nan() && after.is_nan();
            assert!(is_equal, "{name} {parameters:?}: {value} is not {after} at {i}");
        }
        compared += 1;
    }
    assert_eq!(compared, cases);
}

#[test]
fn the_butterworth_filter_equals_filtfilt() {
    compare("butterworth", 11, |parameters, values| {
        let filter = Butterworth::new(parameters[0], parameters[1]);
        filter.expect("below half the rate").apply(values);
    });
}

#[test]
fn the_savitzky_golay_filter_equals_savgol_filter() {
    compare("savitzky_golay", 6, |parameters, values| {
        let [window, order] = [parameters[0], parameters[1]].map(|number| number as usize);
        let times: Vec<f64> = (0..values.len()).map(|i| i as f64 / 30.0).collect();
        SavitzkyGolay { window, order }.apply(&times, values);
    });
}

#[test]
fn filled_gaps_equal_those_of_pchip_interpolator() {
    compare("gaps", 4, |_, values| {
        let times: Vec<f64> = (0..values.len()).map(|i| i as f64).collect();
        gaps::fill(&times, values, f64::INFINITY);
    });
}
