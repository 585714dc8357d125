//! Peak memory of a worker by codec and picture size, and the table of it in docs/memory.md.

use crate::clips::sized_and_coded;
use crate::figures::{Figures, PEAK_MIB, Place};
use crate::marked_tables;
use crate::memory::peaks_of_job;
use crate::names::WORKER;
use crate::rounds::Bench;
use crate::selection::Group;
use anyhow::Result;
use bodyscript_tests::fixture::{Codec, Container};
use bodyscript_tests::server::TestServer;

/// Peaks hardly differ between rounds.
const ROUNDS_MOST: usize = 3;
/// A name, the size, and enough frames for all pictures that a decoder keeps.
const SIZES: [(&str, u32, u32, u32); 4] = [
    ("720p", 1280, 720, 20),
    ("1080p", 1920, 1080, 20),
    ("4K", 3840, 2160, 20),
    ("8K", 7680, 4320, 8),
];
const CODECS: [(&str, Codec, Container, &str); 9] = [
    ("H.264", Codec::H264, Container::Mp4, "mp4"),
    ("H.264, 10 bits", Codec::H264TenBit, Container::Mp4, "mp4"),
    ("H.265", Codec::H265, Container::Mp4, "mp4"),
    ("H.265, 10 bits", Codec::H265Pq, Container::Mp4, "mp4"),
    ("VP9", Codec::Vp9, Container::WebM, "webm"),
    ("AV1", Codec::Av1, Container::Matroska, "mkv"),
    ("MPEG-4 part 2", Codec::Mpeg4, Container::Mp4, "mp4"),
    ("Motion JPEG", Codec::Mjpeg, Container::Mov, "mov"),
    ("ProRes", Codec::ProRes, Container::Mov, "mov"),
];

pub(crate) fn measure(bench: &mut Bench) -> Result<()> {
    let flags = ["--workers", "1", "--standby", "0", "--memory-budget-bytes", "6GiB"];
    let raised = ["--worker-memory-retry-bytes-max", "4GiB"];
    let server = TestServer::start(&[&flags[..], &raised].concat())?;
    for codec in CODECS {
        for size in SIZES {
            let video = sized_and_coded(size, codec)?;
            for _ in 0..bench.rounds.min(ROUNDS_MOST) {
                let peak = peaks_of_job(&server, &video, &[])?.worker / f64::from(1 << 20);
                let case = case(size.0, codec.0);
                let place = Place { group: Group::Codecs, case: &case, who: WORKER };
                bench.add(place, &[(PEAK_MIB, peak)]);
            }
        }
    }
    server.stop().map(drop)
}

fn case(size: &str, codec: &str) -> String {
    format!("{size} {codec}")
}

/// The largest peak of each codec and size.
pub(crate) fn table(figures: &Figures) -> String {
    let row = |codec: &str| {
        let peak = |(size, ..): (&str, u32, u32, u32)| {
            let case = case(size, codec);
            let place = Place { group: Group::Codecs, case: &case, who: WORKER };
            let most = figures.values(place, PEAK_MIB).iter().copied().reduce(f64::max);
            most.map_or("-".into(), |mib| format!("{mib:.0}"))
        };
        [vec![codec.to_owned()], SIZES.map(peak).to_vec()].concat()
    };
    let headings: Vec<&str> = [""].into_iter().chain(SIZES.map(|(name, ..)| name)).collect();
    marked_tables::markdown(&headings, &CODECS.map(|(codec, ..)| row(codec)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_largest_peak() {
        let mut figures = Figures::default();
        for peak in [292.4, 280.0] {
            let place = Place { group: Group::Codecs, case: "4K H.264", who: WORKER };
            figures.add(place, &[(PEAK_MIB, peak)]);
        }
        let table = table(&figures);
        assert!(table.contains("| H.264 | - | - | 292 | - |\n"), "{table}");
    }
}
