//! The poses of a first pass, in a file without a name, for a second pass that knows all of them.
//! Memory does not depend on how many they are.
//!
//! Each decoded frame is its number, its times in the file and in life in nanoseconds, how many people
//! are in it, or [`SKIPPED`], the people, how many heads are seen in it, and these. Numbers are stored least
//! byte first.

use crate::heads::Head;
use crate::output::OutputError;
use crate::picture::Picture;
use crate::pose::{Person, VideoFrame, strategies};
use bodyscript_protocol::layout::RECORDED_HEADS_MAX;
use bodyscript_protocol::pose::{LANDMARKS, Landmark, Pose};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::time::Duration;

/// Stands for the number of people in a frame that was not processed.
const SKIPPED: u8 = u8::MAX;

/// Writes a recording.
pub(super) struct Recorder {
    file: BufWriter<File>,
    frames: u32,
}

/// Reads a recording from its beginning.
pub(super) struct Recording {
    file: BufReader<File>,
    frames: u32,
    next: u32,
}

/// A frame and the people in it; none for one that was not processed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct RecordedFrame {
    pub(super) id: u32,
    /// Presentation time in the file.
    pub(super) pts: Duration,
    /// Time in life.
    pub(super) time: Duration,
    pub(super) people: Option<Vec<Person>>,
    /// The heads that are seen in it, if they are to be covered.
    pub(super) heads: Vec<Head>,
}

impl RecordedFrame {
    /// The frame as it was decoded, except its picture.
    pub(super) fn without_picture(&self) -> VideoFrame {
        let Self { id, pts, time, .. } = *self;
        VideoFrame { id, pts, time, picture: Picture::default() }
    }
}

impl Recorder {
    /// An empty recording in this file.
    pub(super) fn new(file: File) -> Self {
        Self { file: BufWriter::new(file), frames: 0 }
    }

    /// Adds the next frame, and the heads that are seen in it: so many of very many that everything is covered.
    pub(super) fn add(
        &mut self,
        frame: &VideoFrame,
        people: Option<&[Person]>,
        heads: &[Head],
    ) -> Result<(), OutputError> {
        self.frames += 1;
        let heads = &heads[..heads.len().min(RECORDED_HEADS_MAX)];
        self.write(frame, people)
            .and_then(|()| self.write_heads(heads))
            .map_err(OutputError::Recording)
    }

    fn write_heads(&mut self, heads: &[Head]) -> io::Result<()> {
        self.file.write_all(&[heads.len() as u8])?;
        for Head { center: [x, y], radius } in heads {
            for value in [x, y, radius] {
                self.file.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    }

    fn write(&mut self, frame: &VideoFrame, people: Option<&[Person]>) -> io::Result<()> {
        let count = people.map_or(Some(SKIPPED), |people| u8::try_from(people.len()).ok());
        self.file.write_all(&frame.id.to_le_bytes())?;
        for time in [frame.pts, frame.time] {
            self.file.write_all(&(time.as_nanos() as u64).to_le_bytes())?;
        }
        self.file.write_all(&[count.ok_or(ErrorKind::InvalidInput)?])?;
        people.unwrap_or_default().iter().try_for_each(|person| self.write_person(person))
    }

    fn write_person(&mut self, person: &Person) -> io::Result<()> {
        let strategy = strategies().position(|name| name == person.strategy);
        let strategy = strategy.ok_or(ErrorKind::InvalidInput)? as u32;
        for number in [person.id, person.track, strategy] {
            self.file.write_all(&number.to_le_bytes())?;
        }
        for Landmark { x, y, z, visibility, presence, world } in &person.pose {
            let [world_x, world_y, world_z] = *world;
            for value in [*x, *y, *z, *visibility, *presence, world_x, world_y, world_z] {
                self.file.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    }

    /// Ends the recording, so that it can be read.
    pub(super) fn finish(self) -> Result<Recording, OutputError> {
        let rewound = self.file.into_inner().map_err(io::IntoInnerError::into_error);
        let rewound = rewound.and_then(|mut file| file.rewind().map(|()| file));
        let file = BufReader::new(rewound.map_err(OutputError::Recording)?);
        Ok(Recording { file, frames: self.frames, next: 0 })
    }
}

impl Recording {
    /// Whether all frames are read.
    pub(super) const fn is_at_end(&self) -> bool {
        self.next == self.frames
    }

    /// Goes back to the beginning.
    pub(super) fn rewind(&mut self) -> Result<(), OutputError> {
        self.next = 0;
        self.file.rewind().map_err(OutputError::Recording)
    }

    /// The next frame; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<RecordedFrame>, OutputError> {
        if self.is_at_end() {
            return Ok(None);
        }
        self.next += 1;
        self.read().map(Some).map_err(OutputError::Recording)
    }

    fn read(&mut self) -> io::Result<RecordedFrame> {
        let id = self.number()?;
        let (pts, time) = (self.time()?, self.time()?);
        let [count] = self.bytes()?;
        let people = match count {
            SKIPPED => None,
            count => Some((0..count).map(|_| self.read_person()).collect::<io::Result<_>>()?),
        };
        let [heads] = self.bytes()?;
        let heads = (0..heads).map(|_| self.read_head()).collect::<io::Result<_>>()?;
        Ok(RecordedFrame { id, pts, time, people, heads })
    }

    fn read_person(&mut self) -> io::Result<Person> {
        let (id, track, strategy) = (self.number()?, self.number()?, self.number()?);
        let strategy = strategies().nth(strategy as usize).ok_or(ErrorKind::InvalidData)?;
        let mut pose: Pose = [Landmark::default(); LANDMARKS];
        for landmark in &mut pose {
            let mut values = [0.0; 8];
            for value in &mut values {
                *value = self.value()?;
            }
            let [x, y, z, visibility, presence, world @ ..] = values;
            *landmark = Landmark { x, y, z, visibility, presence, world };
        }
        Ok(Person { id, track, pose, strategy, filtered: None })
    }

    fn read_head(&mut self) -> io::Result<Head> {
        let center = [self.value()?, self.value()?];
        Ok(Head { center, radius: self.value()? })
    }

    fn value(&mut self) -> io::Result<f32> {
        self.bytes().map(f32::from_le_bytes)
    }

    fn time(&mut self) -> io::Result<Duration> {
        self.bytes().map(u64::from_le_bytes).map(Duration::from_nanos)
    }

    fn number(&mut self) -> io::Result<u32> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bodyscript_protocol::layout::recording_bytes_max;

    fn person(id: u32, strategy: &'static str) -> Person {
        let landmark = |n: usize| Landmark { x: n as f32 / 7.0, z: -0.5, ..Landmark::default() };
        let pose = std::array::from_fn(landmark);
        Person { id, track: 3, pose, strategy, filtered: None }
    }

    #[test]
    fn frames_are_read_as_they_were_written() {
        let file = tempfile::tempfile().expect("a file");
        let handle = file.try_clone().expect("a handle");
        let mut recorder = Recorder::new(file);
        let last = strategies().last().expect("some");
        let people = [Some(vec![person(0, "track"), person(4, last)]), None, Some(Vec::new())];
        let head = |n: usize| Head { center: [n as f32, 0.5], radius: 20.0 };
        let frame = |id: u32, people| {
            let pts = Duration::from_nanos(33_366_700) * id;
            let heads = (0..RECORDED_HEADS_MAX * (id as usize - 70)).map(head);
            let heads = heads.take(RECORDED_HEADS_MAX).collect();
            RecordedFrame { id, pts, time: pts / 8, people, heads }
        };
        for (id, people) in (70..).zip(&people) {
            let RecordedFrame { heads, .. } = frame(id, None);
            // One more than there may be is left out.
            let heads = [heads, vec![head(RECORDED_HEADS_MAX); usize::from(id > 70)]].concat();
            let decoded = frame(id, None).without_picture();
            recorder.add(&decoded, people.as_deref(), &heads).expect("written");
        }
        let mut recording = recorder.finish().expect("rewound");
        assert!(handle.metadata().expect("a file").len() <= recording_bytes_max(3, 2));
        for (id, people) in (70..).zip(people) {
            assert_eq!(recording.next().expect("readable"), Some(frame(id, people)));
        }
        assert_eq!(recording.next().expect("the end"), None);
    }

    #[test]
    fn a_recording_that_was_cut_is_an_error() {
        let file = tempfile::tempfile().expect("a file");
        let handle = file.try_clone().expect("a handle");
        let mut recorder = Recorder::new(file);
        recorder.add(&VideoFrame::default(), Some(&[person(0, "track")]), &[]).expect("written");
        let mut recording = recorder.finish().expect("rewound");
        handle.set_len(100).expect("cut");
        assert!(matches!(recording.next(), Err(OutputError::Recording(_))));
    }
}
