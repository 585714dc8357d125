//! Transfer functions and the tone curve, by their Recommendations. Pure; called by `tables`, once for
//! each value of a table.

/// Peak of the target: the reference display of standard range (ITU-R BT.2035), in nits.
pub(super) const TARGET_NIT: f64 = 100.0;
/// Exponent of the target display (ITU-R BT.1886).
pub(super) const TARGET_GAMMA: f64 = 2.4;
/// System gamma of HLG for a display of 1000 nits (ITU-R BT.2100, table 5).
pub(super) const HLG_SYSTEM_GAMMA: f64 = 1.2;

/// Luminance of PQ's highest value, in nits.
const PQ_NIT: f64 = 10_000.0;
/// The constants of PQ (SMPTE ST 2084).
const M1: f64 = 2610.0 / 16_384.0;
const M2: f64 = 2523.0 / 32.0;
const C1: f64 = 3424.0 / 4096.0;
const C2: f64 = 2413.0 / 128.0;
const C3: f64 = 2392.0 / 128.0;

/// Luminance of a PQ value from 0 to 1, in nits.
pub(super) fn pq_to_nit(value: f64) -> f64 {
    let root = value.powf(1.0 / M2);
    PQ_NIT * ((root - C1).max(0.0) / (C2 - C3 * root)).powf(1.0 / M1)
}

/// PQ value of a luminance in nits.
pub(super) fn nit_to_pq(nit: f64) -> f64 {
    let power = (nit / PQ_NIT).powf(M1);
    ((C1 + C2 * power) / (1.0 + C3 * power)).powf(M2)
}

/// Scene light, from 0 to 1, of an HLG value (ITU-R BT.2100, table 5).
pub(super) fn hlg_to_scene(value: f64) -> f64 {
    const A: f64 = 0.178_832_77;
    const B: f64 = 1.0 - 4.0 * A;
    const C: f64 = 0.559_910_73;
    match value {
        ..=0.5 => value * value / 3.0,
        _ => (((value - C) / A).exp() + B) / 12.0,
    }
}

/// Luminance on the target of a luminance of content with this peak (ITU-R BT.2390, section 5.4.1), in
/// nits. Black stays black, since both displays are taken to show it as no light.
pub(super) fn to_target_nit(nit: f64, peak_nit: f64) -> f64 {
    let peak = nit_to_pq(peak_nit);
    let target = nit_to_pq(TARGET_NIT) / peak;
    let value = (nit_to_pq(nit) / peak).min(1.0);
    let knee = 1.5 * target - 0.5;
    if value < knee || knee >= 1.0 {
        return nit;
    }
    let t = (value - knee) / (1.0 - knee);
    let (t2, t3) = (t * t, t * t * t);
    let mapped = (2.0 * t3 - 3.0 * t2 + 1.0) * knee
        + (t3 - 2.0 * t2 + t) * (1.0 - knee)
        + (3.0 * t2 - 2.0 * t3) * target;
    pq_to_nit(mapped * peak)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten-bit codes of limited range and their luminances, computed from the formulas of ST 2084 in
    /// decimal arithmetic.
    const PQ_CODES: [(u16, f64); 6] = [
        (152, 0.328_480_5),
        (356, 15.134_164),
        (509, 99.912_798),
        (569, 194.987_969),
        (723, 1004.1919),
        (940, 10_000.0),
    ];
    /// Peak, luminance, and the luminance on a target of 100 nits, computed from the formulas of
    /// BT.2390 likewise.
    const TONE_CURVE: [(f64, f64, f64); 11] = [
        (1000.0, 10.0, 10.0),
        (1000.0, 50.0, 46.1430),
        (1000.0, 100.0, 69.4544),
        (1000.0, 203.0, 88.2436),
        (1000.0, 500.0, 98.9469),
        (1000.0, 1000.0, 100.0),
        (4000.0, 100.0, 55.1463),
        (4000.0, 203.0, 72.6202),
        (4000.0, 1000.0, 96.7996),
        (10_000.0, 203.0, 63.3062),
        (203.0, 150.0, 99.1378),
    ];

    fn assert_near(found: f64, expected: f64, what: &str) {
        let off = (found - expected).abs();
        assert!(off <= 5e-4 * expected.abs().max(1e-3), "{what}: {found} is not {expected}");
    }

    #[test]
    fn pq_has_the_luminances_of_st_2084() {
        for (code, nit) in PQ_CODES {
            let value = (f64::from(code) - 64.0) / 876.0;
            assert_near(pq_to_nit(value), nit, &format!("code {code}"));
            assert_near(nit_to_pq(nit), value, &format!("{nit} nits"));
        }
    }

    #[test]
    fn hlg_has_the_scene_light_of_bt_2100() {
        for (value, light) in [(0.0, 0.0), (0.25, 1.0 / 48.0), (0.5, 1.0 / 12.0), (1.0, 1.0)] {
            assert_near(hlg_to_scene(value), light, &format!("{value}"));
        }
        // Reference white, 75 % of the signal, is 203 nits on a display of 1000 nits (BT.2408).
        let white = 1000.0 * hlg_to_scene(0.75).powf(HLG_SYSTEM_GAMMA);
        assert!((white - 203.0).abs() < 1.0, "{white}");
    }

    #[test]
    fn the_tone_curve_is_that_of_bt_2390() {
        for (peak, nit, mapped) in TONE_CURVE {
            assert_near(to_target_nit(nit, peak), mapped, &format!("{nit} of {peak} nits"));
        }
    }

    #[test]
    fn the_tone_curve_rises_and_ends_at_the_peak_of_the_target() {
        for peak in [100.0, 203.0, 1000.0, 4000.0, 10_000.0] {
            let mapped: Vec<_> =
                (0..=100).map(|k| to_target_nit(peak * f64::from(k) / 100.0, peak)).collect();
            assert!(mapped.windows(2).all(|pair| pair[0] < pair[1]), "{peak}: {mapped:?}");
            assert_near(mapped[100], TARGET_NIT, &format!("the peak of {peak} nits"));
        }
    }
}
