//! Times as results state them: seconds, to a microsecond.

use std::time::Duration;

/// A time in seconds, as a number that is written with six decimals at most.
pub(crate) fn seconds(time: Duration) -> f64 {
    let microseconds = (time.as_nanos() + 500) / 1000;
    microseconds as f64 / 1e6
}

/// The same time as text, always with six decimals.
pub(crate) fn seconds_text(time: Duration) -> String {
    format!("{:.6}", seconds(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_ntsc_frames_have_six_decimals_at_most_as_number_and_as_text() {
        for frame in 0..=20_u64 {
            // The longest video, 29.97 frames a second.
            let time = Duration::from_nanos(frame * 359_640 / 20 * 1_001_000_000_000 / 30_000_000);
            let (number, text) = (serde_json::json!(seconds(time)).to_string(), seconds_text(time));
            let decimals = number.split_once('.').map_or(0, |(_, decimals)| decimals.len());
            assert!((1..=6).contains(&decimals), "{number}");
            assert_eq!(number.parse::<f64>(), text.parse::<f64>(), "{number} and {text}");
            assert!(text.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 6));
            assert!((seconds(time) - time.as_secs_f64()).abs() < 5.1e-7, "{number}");
        }
        assert_eq!(seconds_text(Duration::from_nanos(33_366_666)), "0.033367");
        assert_eq!(seconds_text(Duration::from_nanos(66_733_333)), "0.066733");
    }
}
