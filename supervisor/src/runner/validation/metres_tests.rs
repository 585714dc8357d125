//! Artefacts have positions in metres exactly if these are asked for and known.

use super::tests::{check_bytes, run};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::options::Thousandths;
use bodyscript_protocol::warning::Warning;
use bodyscript_sample_results::{SampleRun, summary};

/// Runs without metres, with them, and with nobody who could be measured.
fn runs() -> [SampleRun; 3] {
    let without = run(summary(3));
    let mut with = without.clone();
    with.parameters.options.height_m = Some(Thousandths::new(1750));
    let mut unknown = with.clone();
    unknown.summary.warnings.insert(Warning::MetresUnknown);
    [without, with, unknown]
}

#[test]
fn metres_are_there_exactly_if_they_are_asked_for_and_known() {
    let [without, with, unknown] = runs();
    let with_metres =
        [Artefact::Csv, Artefact::Json, Artefact::Ndjson, Artefact::Trc, Artefact::C3d];
    for artefact in with_metres.into_iter().chain([Artefact::Metadata]) {
        for run in runs() {
            let checked = check_bytes(artefact, &run.artefact(artefact), &run);
            assert!(checked.is_ok(), "{artefact:?} of {:?}: {checked:?}", run.parameters.options);
        }
        for (written, expected) in [(&without, &with), (&with, &without), (&with, &unknown)] {
            let checked = check_bytes(artefact, &written.artefact(artefact), expected);
            assert!(checked.is_err(), "{artefact:?}");
        }
    }
}
