//! Makes an angle that is known up to whole turns continuous.

/// Continues an angle, in degrees, from value to value. One for each angle of each track.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwrapper {
    last: Option<f64>,
}

impl Unwrapper {
    /// The same angle within half a turn of the last one that was known. A missing angle stays missing, and the next
    /// one continues from the one before it.
    pub fn next(&mut self, degrees: Option<f64>) -> Option<f64> {
        let degrees = degrees?;
        let turns = self.last.map_or(0.0, |last| ((last - degrees) / 360.0).round());
        self.last = Some(degrees + 360.0 * turns);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_angle_that_turns_on_and_on_has_no_jumps() {
        let mut unwrapper = Unwrapper::default();
        for step in -50..500 {
            let degrees = 17.0 * f64::from(step);
            let wrapped = (degrees + 180.0).rem_euclid(360.0) - 180.0;
            let turns = (-850.0_f64 / 360.0).round() * 360.0;
            let unwrapped = unwrapper.next(Some(wrapped)).expect("a value");
            assert!((unwrapped - (degrees - turns)).abs() < 1e-9, "{step}: {unwrapped}");
        }
    }

    #[test]
    fn a_missing_angle_stays_missing_and_is_bridged() {
        let mut unwrapper = Unwrapper::default();
        let angles = [Some(170.0), None, Some(-170.0), Some(175.0)];
        let unwrapped = angles.map(|angle| unwrapper.next(angle));
        assert_eq!(unwrapped, [Some(170.0), None, Some(190.0), Some(175.0)]);
    }
}
