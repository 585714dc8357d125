//! Results that are not what is reported of them.

use crate::MIB;
use crate::actions::FaultyJob;
use crate::messages::send;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::{Summary, ToSupervisor};
use bodyscript_sample_results::pose_frame;
use std::io::Write;
use std::process::exit;

const MARKUP: &[u8] = b"<html><script>alert(document.domain)</script></html>";

impl FaultyJob {
    /// Ends as a worker that succeeded does, with the results that one word says.
    pub(super) fn lie(&mut self, word: &str, mebibytes: usize) {
        if word == "huge" {
            let bytes = (mebibytes * MIB) as u64;
            self.files.iter().for_each(|file| file.set_len(bytes).expect("a sparse file"));
            return;
        }
        (0..3).for_each(|_| self.progress());
        let run = self.run();
        for (artefact, file) in self.start.artefacts.iter().zip(&mut self.files) {
            let honest = run.artefact(*artefact);
            let bytes = match (word, artefact) {
                ("empty", _) => Vec::new(),
                ("html", _) => MARKUP.to_vec(),
                ("no-moov", Artefact::Video | Artefact::Clean | Artefact::Preview) => {
                    renamed(honest, b"moov", b"free")
                }
                ("nan", Artefact::Csv) => renamed(honest, b"0.25", b"NaN "),
                ("rows", Artefact::Csv | Artefact::Angles) => {
                    let last = honest.windows(3).position(|window| window == b"\n2,");
                    honest[..=last.expect("a third frame")].to_vec()
                }
                _ => honest,
            };
            file.write_all(&bytes).expect("room for a small file");
        }
        let people = if word == "crowd" { 500_000 } else { run.summary.people };
        send(&ToSupervisor::Done(Summary { people, ..run.summary }));
        exit(0);
    }

    /// Tells the poses that one word says, and ends as a worker that succeeded does.
    pub(super) fn lie_about_poses(&mut self, word: &str) {
        self.progress();
        let mut frame = pose_frame(self.frames_done);
        match word {
            "crowd-poses" => frame.people = vec![frame.people[0].clone(); 6],
            "nan-poses" => frame.people[0].landmarks[32].x = f32::NAN,
            _ => frame.frame_id = 0,
        }
        send(&ToSupervisor::Poses(frame));
        self.execute("ok");
    }
}

/// The bytes with the first occurrence of a text replaced by an equally long one.
fn renamed(mut bytes: Vec<u8>, from: &[u8; 4], to: &[u8; 4]) -> Vec<u8> {
    let at = bytes.windows(4).position(|window| window == from).expect("it is there");
    bytes[at..at + 4].copy_from_slice(to);
    bytes
}
