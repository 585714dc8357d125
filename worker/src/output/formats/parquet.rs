//! pose_data.parquet: the rows of pose_data.csv in typed columns. Missing values are null.
//!
//! Rows are buffered until they fill a row group, so memory does not depend on the length of the
//! video. Columns are not compressed: floats hardly shrink, and repeating columns are coded by
//! dictionary and run length anyway.

use crate::motion::MetricScale;
use crate::output::error::OutputError;
use crate::output::seconds;
use crate::output::writer::{DataFormat, FrameWriter};
use crate::pose::{Frame, Person};
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::layout::SCHEMA_VERSION;
use bodyscript_protocol::message::Summary;
use bodyscript_protocol::pose::{LANDMARKS, NAMES};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::io;
use std::sync::Arc;

/// The format's row in the table.
pub(super) const FORMAT: DataFormat = DataFormat {
    artefact: Artefact::Parquet,
    create: |file, context| Ok(Box::new(ParquetWriter::create(file, context.metres)?)),
};

/// Rows of one group: some 1.3 MB while they are buffered.
const GROUP_ROWS_MAX: usize = 16_384;

/// The columns of the table, in its order.
const SCHEMA: &str = "message pose_data {
    required int32 frame_id;
    required int32 landmark_id;
    optional float x;
    optional float y;
    optional float z;
    optional float visibility;
    optional binary strategy (UTF8);
    optional float presence;
    optional float world_x;
    optional float world_y;
    optional float world_z;
    required double time_s;
    required boolean detected;
    required int32 person_id;
    optional int32 track_id;
    optional float metric_x;
    optional float metric_y;
    optional float metric_z;
    required double source_time_s;
    optional float x_raw;
    optional float y_raw;
    optional float z_raw;
    required boolean filled;
    required binary landmark (UTF8);
}";

/// Writes the table group by group.
struct ParquetWriter {
    file: SerializedFileWriter<File>,
    rows: Rows,
    metres: Option<MetricScale>,
}

/// The buffered rows, column by column. Only rows with a person have values in the
/// columns that may be null.
#[derive(Default)]
struct Rows {
    frame_id: Vec<i32>,
    landmark_id: Vec<i32>,
    time_s: Vec<f64>,
    person_id: Vec<i32>,
    source_time_s: Vec<f64>,
    detected: Vec<bool>,
    /// 1 where a row has a person, else 0: the definition levels of the optional columns.
    levels: Vec<i16>,
    strategy: Vec<ByteArray>,
    /// x, y, z, visibility.
    picture: [Vec<f32>; 4],
    /// presence, world x, y, z.
    world: [Vec<f32>; 4],
    track_id: Vec<i32>,
    /// As `levels`, for `metric`.
    metric_levels: Vec<i16>,
    metric: [Vec<f32>; 3],
    /// As `levels`, for `raw`.
    raw_levels: Vec<i16>,
    raw: [Vec<f32>; 3],
    filled: Vec<bool>,
}

impl ParquetWriter {
    /// Starts the table.
    fn create(file: File, metres: Option<MetricScale>) -> Result<Self, OutputError> {
        let open = || {
            let version = KeyValue::new("schema_version".into(), SCHEMA_VERSION.to_string());
            let properties = WriterProperties::builder()
                .set_created_by(concat!("bodyscript ", env!("CARGO_PKG_VERSION")).into())
                .set_statistics_enabled(EnabledStatistics::Chunk)
                .set_key_value_metadata(Some(vec![version]));
            let schema = parse_message_type(SCHEMA)?;
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties.build()))
        };
        Ok(Self { file: open().map_err(parquet_error)?, rows: Rows::default(), metres })
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        if self.rows.frame_id.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        self.rows.write(&mut group)?;
        group.close()?;
        self.rows.clear();
        Ok(())
    }
}

impl FrameWriter for ParquetWriter {
    fn write(&mut self, frame: &Frame<'_>) -> Result<(), OutputError> {
        let added = LANDMARKS * frame.people.len().max(1);
        if self.rows.frame_id.len() + added > GROUP_ROWS_MAX {
            self.flush().map_err(parquet_error)?;
        }
        self.rows.add(frame, self.metres);
        Ok(())
    }

    fn finish(mut self: Box<Self>, _: &Summary) -> Result<(), OutputError> {
        self.flush().and_then(|()| self.file.close().map(drop)).map_err(parquet_error)
    }
}

impl Rows {
    fn add(&mut self, frame: &Frame<'_>, metres: Option<MetricScale>) {
        for person in frame.people {
            self.add_keys(frame, Some(person));
            self.add_person(person);
            self.add_metric(person.in_scene(metres));
        }
        if frame.people.is_empty() {
            self.add_keys(frame, None);
            self.add_metric(None);
        }
    }

    fn add_metric(&mut self, metric: Option<[[f32; 3]; LANDMARKS]>) {
        self.metric_levels.extend([i16::from(metric.is_some()); LANDMARKS]);
        for position in metric.iter().flatten() {
            self.metric.iter_mut().zip(position).for_each(|(column, value)| column.push(*value));
        }
    }

    fn add_keys(&mut self, frame: &Frame<'_>, person: Option<&Person>) {
        let is_detected = person.is_some_and(Person::is_detected);
        for landmark in 0..LANDMARKS {
            self.frame_id.push(frame.id.cast_signed());
            self.landmark_id.push(landmark as i32);
            self.time_s.push(seconds(frame.time));
            self.person_id.push(person.map_or(0, |person| person.id).cast_signed());
            self.source_time_s.push(seconds(frame.source_time));
            self.detected.push(is_detected);
            self.filled.push(person.is_some_and(|person| person.is_filled(landmark)));
            self.levels.push(person.is_some().into());
            let raw = person.and_then(|person| person.raw(landmark));
            self.raw_levels.push(raw.is_some().into());
            for (column, value) in self.raw.iter_mut().zip(raw.iter().flatten()) {
                column.push(*value);
            }
        }
    }

    fn add_person(&mut self, person: &Person) {
        let strategy = ByteArray::from(person.strategy);
        for landmark in &person.pose {
            self.strategy.push(strategy.clone());
            self.track_id.push(person.track.cast_signed());
            let picture = [landmark.x, landmark.y, landmark.z, landmark.visibility];
            let [x, y, z] = landmark.world;
            let world = [landmark.presence, x, y, z];
            self.picture.iter_mut().zip(picture).for_each(|(column, value)| column.push(value));
            self.world.iter_mut().zip(world).for_each(|(column, value)| column.push(value));
        }
    }

    /// Writes the columns in the order of the schema.
    fn write(&self, group: &mut SerializedRowGroupWriter<'_, File>) -> Result<(), ParquetError> {
        let levels = Some(&*self.levels);
        column::<Int32Type>(group, &self.frame_id, None)?;
        column::<Int32Type>(group, &self.landmark_id, None)?;
        for values in &self.picture {
            column::<FloatType>(group, values, levels)?;
        }
        column::<ByteArrayType>(group, &self.strategy, levels)?;
        for values in &self.world {
            column::<FloatType>(group, values, levels)?;
        }
        column::<DoubleType>(group, &self.time_s, None)?;
        column::<BoolType>(group, &self.detected, None)?;
        column::<Int32Type>(group, &self.person_id, None)?;
        column::<Int32Type>(group, &self.track_id, levels)?;
        for values in &self.metric {
            column::<FloatType>(group, values, Some(&self.metric_levels))?;
        }
        column::<DoubleType>(group, &self.source_time_s, None)?;
        for values in &self.raw {
            column::<FloatType>(group, values, Some(&self.raw_levels))?;
        }
        column::<BoolType>(group, &self.filled, None)?;
        let names = NAMES.map(ByteArray::from);
        let landmark = self.landmark_id.iter().map(|id| names[*id as usize].clone());
        column::<ByteArrayType>(group, &landmark.collect::<Vec<_>>(), None)
    }

    /// Empties the columns and keeps their memory.
    fn clear(&mut self) {
        self.frame_id.clear();
        self.landmark_id.clear();
        self.time_s.clear();
        self.person_id.clear();
        self.source_time_s.clear();
        self.detected.clear();
        self.levels.clear();
        self.strategy.clear();
        self.track_id.clear();
        self.metric_levels.clear();
        self.raw_levels.clear();
        self.filled.clear();
        self.metric.iter_mut().chain(&mut self.raw).for_each(Vec::clear);
        self.picture.iter_mut().chain(&mut self.world).for_each(Vec::clear);
    }
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let next = group.next_column()?;
    let mut column = next.ok_or_else(|| ParquetError::General("too many columns".into()))?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

fn parquet_error(error: ParquetError) -> OutputError {
    OutputError::of(Artefact::Parquet)(io::Error::other(error))
}
