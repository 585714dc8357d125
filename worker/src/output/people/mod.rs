//! people.json: who was found, each with the times in view, a place by which to choose the person, and a small picture.
//!
//! The facts come with the frames, the pictures with the finished pictures of the videos: whatever is covered or replaced
//! there is so here. Of each person one small picture is kept. Called by `job::results`.

mod picture;
mod view;

use super::error::OutputError;
use super::json_list::JsonList;
use crate::picture::Picture;
use crate::pose::{Frame, Person};
use crate::video::VideoError;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::{LISTED_PEOPLE_MAX, PEOPLE_END, people_head};
use bodyscript_protocol::options::Options;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use view::View;

/// The numbers of a person and, where they tell people apart, of the track.
type Key = (u32, Option<u32>);

/// The people found so far.
pub(crate) struct FoundPeople {
    file: File,
    /// Whether person 0 can be several people in turn.
    by_track: bool,
    people: BTreeMap<Key, View>,
    /// The number of the latest frame.
    latest: Option<u32>,
}

/// One line of the document.
#[derive(Serialize)]
struct Entry<'a> {
    person_id: u32,
    track_id: Option<u32>,
    #[serde(flatten)]
    view: view::Report<'a>,
}

impl FoundPeople {
    /// Before the first frame of a job with these options.
    pub(crate) const fn new(file: File, options: &Options) -> Self {
        let by_track = options.tells_people_by_track();
        Self { file, by_track, people: BTreeMap::new(), latest: None }
    }

    /// Adds the people who are detected in a frame; their poses are in the whole picture.
    pub(crate) fn add(&mut self, frame: &Frame<'_>) {
        let people: Vec<_> = frame.people.iter().filter(|person| person.is_detected()).collect();
        for person in &people {
            let others = people.iter().filter(|other| other.id != person.id);
            let sight = view::Sight::of(frame, person, others.map(|other| other.bounds()));
            let key = self.key(person);
            match self.people.get_mut(&key) {
                Some(view) => view.add(sight, self.latest),
                None => drop(self.people.insert(key, View::new(sight))),
            }
        }
        self.latest = Some(frame.id);
        if self.people.len() > LISTED_PEOPLE_MAX {
            self.forget_one(frame.id);
        }
    }

    /// Takes the pictures of those who are seen best in this frame from its finished picture, in which the poses are.
    pub(crate) fn take_pictures(
        &mut self,
        frame_id: u32,
        picture: &Picture,
        people: &[Person],
    ) -> Result<(), VideoError> {
        for person in people {
            let key = self.key(person);
            if let Some(view) = self.people.get_mut(&key)
                && view.needs_picture(frame_id)
            {
                view.set_picture(picture::of(picture, person.bounds())?);
            }
        }
        Ok(())
    }

    /// Writes the document.
    pub(crate) fn finish(self) -> Result<(), OutputError> {
        let mut file = BufWriter::new(self.file);
        let mut write = || -> std::io::Result<()> {
            file.write_all(people_head().as_bytes())?;
            let mut entries = JsonList::default();
            for ((person_id, track_id), view) in &self.people {
                let (person_id, track_id) = (*person_id, *track_id);
                entries.push(&mut file, &Entry { person_id, track_id, view: view.report() })?;
            }
            writeln!(file, "\n{PEOPLE_END}")?;
            file.flush()
        };
        write().map_err(OutputError::of(Artefact::People))
    }

    fn key(&self, person: &Person) -> Key {
        (person.id, self.by_track.then_some(person.track))
    }

    /// Forgets who was in view shortest, of those who are not in this frame.
    fn forget_one(&mut self, frame_id: u32) {
        let gone = self.people.iter().filter(|(_, view)| !view.is_in(frame_id));
        if let Some(key) = gone.min_by_key(|(_, view)| view.frames()).map(|(key, _)| *key) {
            self.people.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests;
