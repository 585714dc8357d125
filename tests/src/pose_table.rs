//! Reads pose_data.csv and measures the distance of landmarks from their expected positions.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// One row with a person.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Position as a fraction of the width.
    pub x: f64,
    /// Position as a fraction of the height.
    pub y: f64,
    /// Probability of being visible.
    pub visibility: f64,
    /// Position in metres.
    pub world: [f64; 3],
    /// Position in the scene in metres, where the table has it.
    pub metric: Option<[f64; 3]>,
}

/// A table of poses.
#[derive(Debug, Default)]
pub struct PoseTable {
    /// Number of rows, with or without a person.
    pub rows: usize,
    /// The presentation time of each frame.
    pub times: BTreeMap<u32, f64>,
    /// The landmarks of each frame with the person 0, by number.
    pub frames: BTreeMap<u32, BTreeMap<usize, Row>>,
    /// The track of the person 0 in each frame that has one, where the table has tracks.
    pub tracks: BTreeMap<u32, u32>,
}

impl PoseTable {
    /// Reads a table. Columns are found by name; `time_s` may be absent, and so may rows
    /// without a person.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().context("no header")?.split(',').collect();
        let column = |name: &str| header.iter().position(|column| *column == name);
        let need = |name: &str| column(name).with_context(|| format!("no column {name}"));
        let (frame, landmark) = (need("frame_id")?, need("landmark_id")?);
        let world = [need("world_x")?, need("world_y")?, need("world_z")?];
        let metric = ["metric_x", "metric_y", "metric_z"].map(column);
        let (person, track) = (column("person_id"), column("track_id"));
        let (x, y, visibility) = (need("x")?, need("y")?, need("visibility")?);
        let mut table = Self::default();
        for line in lines {
            let cells: Vec<&str> = line.split(',').collect();
            ensure!(cells.len() == header.len(), "{line}");
            table.rows += 1;
            if person.is_some_and(|person| cells[person] != "0") {
                continue;
            }
            let id = cells[frame].parse()?;
            if let Some(time) = column("time_s") {
                table.times.insert(id, cells[time].parse()?);
            }
            if cells[x].is_empty() {
                continue;
            }
            if let Some(track) = track {
                table.tracks.insert(id, cells[track].parse()?);
            }
            let coordinate = |column: Option<usize>| -> Result<Option<f64>> {
                let cell = column.map(|column| cells[column]).filter(|cell| !cell.is_empty());
                Ok(cell.map(str::parse).transpose()?)
            };
            let [metric_x, metric_y, metric_z] = metric.map(coordinate);
            let row = Row {
                x: cells[x].parse()?,
                y: cells[y].parse()?,
                visibility: cells[visibility].parse()?,
                world: [
                    cells[world[0]].parse()?,
                    cells[world[1]].parse()?,
                    cells[world[2]].parse()?,
                ],
                metric: metric_x?.zip(metric_y?).zip(metric_z?).map(|((x, y), z)| [x, y, z]),
            };
            table.frames.entry(id).or_default().insert(cells[landmark].parse()?, row);
        }
        Ok(table)
    }

    /// Each landmark that both tables have, with its counterpart.
    pub fn pairs<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a Row, &'a Row)> {
        let both =
            self.frames.iter().filter_map(|(id, frame)| Some((frame, other.frames.get(id)?)));
        both.flat_map(|(ours, theirs)| {
            ours.iter().filter_map(|(landmark, row)| Some((row, theirs.get(landmark)?)))
        })
    }

    /// Mean distance to another table's landmarks over the frames both have, as a fraction of the
    /// diagonal of a picture of this size; and how many such frames there are.
    pub fn distance(&self, other: &Self, (width, height): (f64, f64)) -> (f64, usize) {
        let (mut sum, mut landmarks, mut frames) = (0.0, 0, 0);
        for (id, ours) in &self.frames {
            let Some(theirs) = other.frames.get(id) else { continue };
            frames += 1;
            for (landmark, row) in ours {
                let Some(other) = theirs.get(landmark) else { continue };
                sum += ((row.x - other.x) * width).hypot((row.y - other.y) * height);
                landmarks += 1;
            }
        }
        (sum / f64::from(landmarks) / width.hypot(height), frames)
    }
}
