//! pose.glb: the skeleton of one person with a simple body, and its movement, for 3D programs and the web.
//!
//! Lengths are in metres; Y is up, and in the rest pose, a T, Z is forwards. Times are those of the frames. A frame
//! without the person, and the first of another track, repeats the last one. The file is written at the end: values
//! of one kind are stored one behind another, and the lengths of the bones are those of all frames.

mod document;
mod mesh;

use super::trajectory::Trajectory;
use crate::motion::{JOINT_COUNT, SkeletonRecording};
use crate::output::error::OutputError;
use crate::output::writer::{DataFormat, FrameWriter};
use crate::pose::Frame;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::Summary;
use mesh::Mesh;
use std::fs::File;
use std::io::{self, BufWriter, Write};

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::Glb,
    create: |file, context| {
        let recording = SkeletonRecording::scaled(context.model_scale());
        Ok(Box::new(GlbWriter::new(file, recording)))
    },
};

/// Bytes of the file's head, and of the head of a chunk.
const HEAD_BYTES: usize = 12;
const CHUNK_HEAD_BYTES: usize = 8;

/// Keeps the movement, and writes it.
pub(super) struct GlbWriter {
    file: File,
    trajectory: Trajectory,
    recording: SkeletonRecording,
}

impl GlbWriter {
    /// Before the first frame, with a recording without frames.
    pub(super) fn new(file: File, recording: SkeletonRecording) -> Self {
        Self { file, trajectory: Trajectory::default(), recording }
    }

    fn complete(&self) -> io::Result<()> {
        let mut file = BufWriter::new(&self.file);
        let mesh = Mesh::new(&self.recording.proportions());
        let mut times = self.recording.times().map(|time| time.as_secs_f32());
        let first = times.next().unwrap_or_default();
        let span = [first, times.last().unwrap_or(first)];
        let document = document::document(&mesh, self.recording.frames(), span);
        write_head(&mut file, &document, document::binary_bytes(self.recording.frames()))?;
        write_mesh(&mut file, &mesh)?;
        self.write_movement(&mut file)?;
        file.flush()
    }

    /// The times, the positions of the hips, and the rotations of each joint.
    fn write_movement(&self, file: &mut impl Write) -> io::Result<()> {
        for time in self.recording.times() {
            put(file, [time.as_secs_f32()])?;
        }
        for posture in self.recording.postures() {
            put(file, posture.hips.map(|metres| metres as f32))?;
        }
        for joint in 0..JOINT_COUNT {
            let mut last = [0.0, 0.0, 0.0, 1.0];
            for posture in self.recording.postures() {
                last = posture.rotations[joint].quaternion_near(last);
                put(file, last.map(|value| value as f32))?;
            }
        }
        Ok(())
    }
}

/// All that comes before the content of the binary chunk.
fn write_head(file: &mut impl Write, document: &[u8], binary_bytes: usize) -> io::Result<()> {
    let document_bytes = document.len().next_multiple_of(4);
    let bytes = HEAD_BYTES + 2 * CHUNK_HEAD_BYTES + document_bytes + binary_bytes;
    let number = |bytes: usize| (bytes as u32).to_le_bytes();
    let head = [*b"glTF", number(2), number(bytes), number(document_bytes), *b"JSON"];
    file.write_all(head.as_flattened())?;
    file.write_all(document)?;
    file.write_all(&b"   "[..document_bytes - document.len()])?;
    file.write_all([number(binary_bytes), *b"BIN\0"].as_flattened())
}

/// The corners, the joint that moves each of them and by how much, the triangles, and the joints at rest.
fn write_mesh(file: &mut impl Write, mesh: &Mesh) -> io::Result<()> {
    for vertex in &mesh.vertices {
        put(file, *vertex)?;
    }
    for joint in &mesh.moved_by {
        file.write_all(&[*joint, 0, 0, 0])?;
    }
    for _ in &mesh.moved_by {
        put(file, [1.0, 0.0, 0.0, 0.0])?;
    }
    for index in &mesh.indices {
        file.write_all(&index.to_le_bytes())?;
    }
    for joint in &mesh.joints {
        let [x, y, z] = joint.map(|metres| -metres as f32);
        put(file, [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, x, y, z, 1.0])?;
    }
    Ok(())
}

fn put<const N: usize>(file: &mut impl Write, values: [f32; N]) -> io::Result<()> {
    values.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))
}

impl FrameWriter for GlbWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        let person = self.trajectory.next(frame);
        self.recording.add(frame.time, person.map(|person| &person.pose));
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        self.complete().map_err(OutputError::of(Artefact::Glb))
    }
}
