use super::*;
use crate::picture::{Layout, SampleRange, Subsampling};
use bodyscript_protocol::layout::PERSON_PICTURE_START;
use bodyscript_protocol::options::PersonChoice;
use bodyscript_protocol::pose::{LANDMARKS, Landmark};
use serde_json::{Value, json};
use std::io::{Read, Seek};
use std::time::Duration;

/// Somebody whose landmarks are in two corners of a box.
fn person(id: u32, track: u32, [left, top, right, bottom]: [f32; 4]) -> Person {
    let pose = std::array::from_fn(|n| {
        let (x, y) = if n % 2 == 0 { (left, top) } else { (right, bottom) };
        Landmark { x, y, visibility: 0.5, ..Landmark::default() }
    });
    assert!(pose.len() == LANDMARKS);
    Person { id, track, pose, strategy: "track", filtered: None }
}

/// The document of a job with these frames, a second apart; pictures are taken of those at even numbers.
fn document(options: &Options, frames: &[Vec<Person>]) -> Value {
    let mut file = tempfile::tempfile().expect("a file");
    let mut found = FoundPeople::new(file.try_clone().expect("a handle"), options);
    let [width, height] = [320, 180];
    let (subsampling, range) = (Subsampling::Yuv420, SampleRange::Limited);
    let picture = Picture::new(Layout { width, height, subsampling, range });
    for (id, people) in (0..).zip(frames) {
        let source_time = Duration::from_secs(id.into());
        found.add(&Frame { id, time: Duration::ZERO, source_time, people });
        if id % 2 == 0 {
            found.take_pictures(id, &picture, people).expect("pictures");
        }
    }
    found.finish().expect("written");
    file.rewind().expect("it seeks");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("text");
    serde_json::from_str(&text).expect("JSON")
}

fn several() -> Options {
    Options { people_max: 2, ..Options::default() }
}

const SMALL: [f32; 4] = [0.25, 0.25, 0.5, 0.5];
const LARGE: [f32; 4] = [0.25, 0.0, 0.75, 1.0];
const ASIDE: [f32; 4] = [0.75, 0.5, 1.25, 1.0];

#[test]
fn each_person_has_the_times_in_view_and_a_place_of_the_best_frame() {
    let frames = [
        vec![person(0, 0, SMALL), person(1, 0, ASIDE)],
        vec![person(0, 0, SMALL)],
        vec![person(0, 0, LARGE)],
        vec![],
        vec![person(0, 1, SMALL), person(1, 1, ASIDE)],
    ];
    let document = document(&several(), &frames);
    let mut people = document["people"].as_array().expect("a list").clone();
    for person in &mut people {
        let picture = person["picture"].take();
        assert!(picture.as_str().is_some_and(|it| it.starts_with(PERSON_PICTURE_START)));
    }
    let expected = json!([
        {"person_id": 0, "track_id": null, "frames": 4, "first_s": 0.0, "last_s": 4.0, "in_view_s": 2.0,
         "best_s": 2.0, "box": [0.25, 0.0, 0.5, 1.0], "person": "0.5,0.5,2", "picture": null},
        {"person_id": 1, "track_id": null, "frames": 2, "first_s": 0.0, "last_s": 4.0, "in_view_s": 0.0,
         "best_s": 0.0, "box": [0.75, 0.5, 0.25, 0.5], "person": "0.875,0.75,0", "picture": null},
    ]);
    assert_eq!(json!(people), expected);
    for person in &people {
        let choice = person["person"].as_str().map(str::parse::<PersonChoice>);
        assert!(matches!(choice, Some(Ok(PersonChoice::At(_)))), "{person}");
    }
}

#[test]
fn tracks_are_told_apart_where_a_number_can_be_several_people() {
    let frames = [vec![person(0, 0, SMALL)], vec![person(0, 1, SMALL)], vec![person(0, 1, SMALL)]];
    let keys = |options| {
        let document = document(&options, &frames);
        let people = document["people"].as_array().expect("a list").iter();
        people.map(|it| (it["track_id"].as_u64(), it["frames"].as_u64())).collect::<Vec<_>>()
    };
    assert_eq!(keys(Options::default()), [(Some(0), Some(1)), (Some(1), Some(2))]);
    assert_eq!(keys(several()), [(None, Some(3))]);
    let chosen = Options { person: Some(PersonChoice::Longest), ..Options::default() };
    assert_eq!(keys(chosen), [(None, Some(3))]);
}

#[test]
fn a_frame_without_a_picture_and_one_that_is_crowded_are_told() {
    let alone = [vec![], vec![person(0, 0, SMALL)]];
    assert_eq!(document(&several(), &alone)["people"][0]["picture"], Value::Null);
    // Large in front of somebody, then small and alone.
    let passing =
        [vec![person(0, 0, SMALL), person(1, 0, LARGE)], vec![], vec![person(0, 0, SMALL)]];
    assert_eq!(document(&several(), &passing)["people"][0]["best_s"], 2.0);
    assert_eq!(document(&several(), &[vec![], vec![]])["people"], json!([]));
}

#[test]
fn of_many_tracks_those_in_view_shortest_are_forgotten() {
    let long = |track| vec![vec![person(0, track, SMALL)]; 2];
    let mut frames = long(0);
    frames.push(vec![person(0, 1, SMALL)]);
    let listed_max = LISTED_PEOPLE_MAX as u32;
    frames.extend((2..=listed_max).flat_map(long));
    let document = document(&Options::default(), &frames);
    let tracks = document["people"].as_array().expect("a list").iter();
    let tracks: Vec<_> = tracks.filter_map(|person| person["track_id"].as_u64()).collect();
    let expected: Vec<u64> = (0..=u64::from(listed_max)).filter(|track| *track != 1).collect();
    assert_eq!(tracks, expected);
}
