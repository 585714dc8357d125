//! Every container and codec the service promises, each through the whole path from the command
//! line: cage, sandbox, decoding, models, artefacts.

use anyhow::Result;
use bodyscript_tests::fixture::{Clip, MATRIX};
use bodyscript_tests::pose_table::PoseTable;
use bodyscript_tests::programs::Run;

const FRAMES: u32 = 8;

#[test]
fn every_container_and_codec_gives_every_frame() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut videos = Vec::new();
    for (container, codec, extension) in MATRIX {
        let path = folder.path().join(format!("{container:?}_{codec:?}_{extension}.{extension}"));
        Clip::new().frames(FRAMES).container(*container).codec(*codec).encode(&path)?;
        videos.push(path);
    }
    let run = Run::new(&[], &videos, &folder.path().join("out"))?.check()?;
    for video in &videos {
        let name = video.display();
        let table = PoseTable::read(&run.artefact(video, "pose_data.csv"))?;
        assert_eq!(table.rows as u32, FRAMES * 33, "{name}");
        assert_eq!(table.frames.len() as u32, FRAMES, "{name}: a person in every frame");
        let times: Vec<f64> = table.times.values().copied().collect();
        assert!(times[0].abs() < 1e-3, "{name}: {times:?}");
        for pair in times.windows(2) {
            assert!((pair[1] - pair[0] - 1.0 / 30.0).abs() < 2e-3, "{name}: {times:?}");
        }
    }
    println!("{} combinations of container and codec", videos.len());
    Ok(())
}
