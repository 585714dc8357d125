//! Tests of the test material: the mannequin's landmarks must be where the picture shows them, and a clip must
//! contain the frames that were encoded. All measurements with mannequins depend on this.

use std::time::Duration;

use bodyscript_tests::fixture::{
    Clip, Codec, Container, Decoded, MATRIX, Moov, Rotation, Tracks, decode, footage,
};
use bodyscript_tests::mannequin::{
    Arm, Camera, Clothes, Figure, GAIT_CYCLE_S, Pose, RgbImage, SKIN, Scene, Skeleton,
    TrueLandmark, project, render,
};

const NOSE: usize = 0;
const LEFT_EAR: usize = 7;
const LEFT_SHOULDER: usize = 11;
const LEFT_ELBOW: usize = 13;
const LEFT_WRIST: usize = 15;
const RIGHT_WRIST: usize = 16;
const LEFT_HIP: usize = 23;
const LEFT_KNEE: usize = 25;
const LEFT_HEEL: usize = 29;
const LEFT_TOE: usize = 31;

const SHIRT: [u8; 3] = [30, 60, 200];
const TROUSERS: [u8; 3] = [30, 160, 40];
const SHOES: [u8; 3] = [200, 30, 40];

/// A figure whose garments have distinct hues.
fn figure(pose: Pose) -> Figure {
    let clothes = Clothes { shirt: SHIRT, trousers: TROUSERS, shoes: SHOES };
    Figure { clothes, ..Figure::from(pose) }
}

fn scene(pose: Pose) -> Scene {
    Scene { figures: vec![figure(pose)] }
}

/// Whether a shaded pixel can be of a material: their directions in colour space agree.
fn is_of(pixel: [u8; 3], material: [u8; 3]) -> bool {
    let (p, m) = (pixel.map(f32::from), material.map(f32::from));
    let dot = |a: [f32; 3], b: [f32; 3]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>();
    dot(p, m) / (dot(p, p) * dot(m, m)).sqrt() > 0.995
}

fn pixel_at(image: &RgbImage, at: TrueLandmark) -> [u8; 3] {
    image.pixel((at.x * image.width as f32) as u32, (at.y * image.height as f32) as u32)
}

/// The pixels that show a figure: those that differ from the empty room.
fn silhouette(image: &RgbImage, camera: &Camera) -> Vec<bool> {
    let room = render(&Scene::empty(), camera);
    image.data.chunks(3).zip(room.data.chunks(3)).map(|(a, b)| a != b).collect()
}

/// Peak signal-to-noise ratio of one picture against another, in decibels.
fn psnr(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    let square = |(x, y): (&u8, &u8)| (f64::from(*x) - f64::from(*y)).powi(2);
    let error = a.data.iter().zip(&b.data).map(square).sum::<f64>() / a.data.len() as f64;
    10.0 * (255.0_f64.powi(2) / error.max(1e-9)).log10()
}

#[test]
fn landmarks_lie_on_the_body_parts_they_name() {
    let named = [
        (NOSE, SKIN),
        (LEFT_SHOULDER, SHIRT),
        (LEFT_ELBOW, SKIN),
        (LEFT_WRIST, SKIN),
        (LEFT_KNEE, TROUSERS),
        (LEFT_TOE, SHOES),
    ];
    for (width, height) in [(320, 240), (640, 480), (240, 320)] {
        for yaw in [-0.4, 0.0, 0.4] {
            for step in 0..6 {
                let pose = Pose::walking(GAIT_CYCLE_S * f64::from(step) / 6.0);
                let camera = Camera::new(width, height).with_yaw(yaw);
                let image = render(&scene(pose), &camera);
                let truth = project(&figure(pose), &camera);
                for (left, material) in named {
                    // The far arm may pass behind the trunk, the near one cannot.
                    let index = if left == NOSE || yaw > 0.0 { left } else { left + 1 };
                    let seen = pixel_at(&image, truth[index]);
                    assert!(
                        is_of(seen, material),
                        "{width}x{height} yaw {yaw} step {step}: {seen:?} at {:?}",
                        truth[index]
                    );
                }
            }
        }
    }
}

#[test]
fn shoes_are_centred_on_the_feet() {
    for yaw in [-1.2, -0.5, 0.0, 0.7, 1.2] {
        let camera = Camera::new(640, 480).with_yaw(yaw);
        let image = render(&scene(Pose::still()), &camera);
        let truth = project(&figure(Pose::still()), &camera);
        let red = (0..image.height)
            .flat_map(|y| (0..image.width).map(move |x| (x, y)))
            .filter(|&(x, y)| is_of(image.pixel(x, y), SHOES));
        let (mut n, mut x_sum, mut y_sum) = (0.0, 0.0, 0.0);
        for (x, y) in red {
            (n, x_sum, y_sum) = (n + 1.0, x_sum + x as f32 + 0.5, y_sum + y as f32 + 0.5);
        }
        let feet = &truth[LEFT_HEEL..=LEFT_TOE + 1];
        let x = feet.iter().map(|at| at.x).sum::<f32>() / 4.0 * 640.0;
        let y = feet.iter().map(|at| at.y).sum::<f32>() / 4.0 * 480.0;
        assert!(n > 0.0, "no shoe to be seen at yaw {yaw}");
        assert!((x_sum / n - x).abs() < 6.0, "yaw {yaw}: shoes at x {}, feet at {x}", x_sum / n);
        assert!((y_sum / n - y).abs() < 6.0, "yaw {yaw}: shoes at y {}, feet at {y}", y_sum / n);
    }
}

#[test]
fn raising_an_arm_moves_the_picture_of_the_wrist() {
    let camera = Camera::new(320, 240);
    let raised = Pose { left_arm: Arm { spread: 1.5, ..Arm::default() }, ..Pose::still() };
    let (low, high) = (render(&scene(Pose::still()), &camera), render(&scene(raised), &camera));
    let (low_at, high_at) =
        (project(&figure(Pose::still()), &camera), project(&figure(raised), &camera));

    assert!(is_of(pixel_at(&low, low_at[LEFT_WRIST]), SKIN));
    assert!(is_of(pixel_at(&high, high_at[LEFT_WRIST]), SKIN));
    assert!(!is_of(pixel_at(&low, high_at[LEFT_WRIST]), SKIN));
    assert!(!is_of(pixel_at(&high, low_at[LEFT_WRIST]), SKIN));
    assert!(high_at[LEFT_WRIST].x > 0.6, "the subject's left is the picture's right");
    assert_eq!(low_at[RIGHT_WRIST], high_at[RIGHT_WRIST]);
    // The arm is outermost, and it ends the length of a hand beyond the wrist.
    let outermost = silhouette(&high, &camera)
        .chunks(320)
        .filter_map(|row| row.iter().rposition(|figure| *figure))
        .max();
    let forearm = high_at[LEFT_WRIST].x - high_at[LEFT_ELBOW].x;
    let beyond = outermost.unwrap() as f32 / 320.0 - high_at[LEFT_WRIST].x;
    assert!((0.5..0.8).contains(&(beyond / forearm)), "hand {beyond}, forearm {forearm}");
}

#[test]
fn a_mirrored_pose_gives_a_mirrored_silhouette() {
    for (time_s, yaw) in [(0.0, 0.0), (0.3, 0.5), (0.5, -0.9)] {
        let pose = Pose::walking(time_s);
        let (camera, mirror) =
            (Camera::new(320, 240).with_yaw(yaw), Camera::new(320, 240).with_yaw(-yaw));
        let straight = silhouette(&render(&pose.into(), &camera), &camera);
        let mirrored = silhouette(&render(&pose.mirrored().into(), &mirror), &mirror);
        let flipped = mirrored.chunks(320).flat_map(|row| row.iter().rev());
        let differing = straight.iter().zip(flipped).filter(|(a, b)| a != b).count();
        let figure = straight.iter().filter(|figure| **figure).count();
        assert!(figure > 5000, "the figure fills {figure} pixels only");
        assert!(differing * 100 < figure, "{differing} of {figure} pixels differ");
        for (a, b) in project(&pose.into(), &camera)
            .iter()
            .zip(project(&pose.mirrored().into(), &mirror))
            .filter(|(a, _)| a.index == NOSE)
        {
            assert!((a.x - (1.0 - b.x)).abs() < 1e-4 && (a.y - b.y).abs() < 1e-4);
        }
    }
}

#[test]
fn moving_the_camera_around_equals_turning_the_figure() {
    let pose = Pose::walking(0.4);
    let turned = Figure { turn: -0.6, ..Figure::from(pose) };
    let (front, side) = (Camera::new(320, 240), Camera::new(320, 240).with_yaw(0.6));
    for (a, b) in project(&turned, &front).iter().zip(project(&pose.into(), &side)) {
        assert!((a.x - b.x).abs() < 1e-4 && (a.y - b.y).abs() < 1e-4, "{a:?} {b:?}");
    }
    let a = render(&Scene { figures: vec![turned] }, &front);
    assert!(psnr(&a, &render(&pose.into(), &side)) > 40.0);

    // From the figure's left, its face looks to the left of the picture.
    let profile = project(&pose.into(), &Camera::new(320, 240).with_yaw(1.5));
    assert!(profile[NOSE].x < profile[LEFT_EAR].x);
}

#[test]
fn walking_repeats_moves_and_keeps_the_bones_rigid() {
    let camera = Camera::new(160, 120);
    let at = |time_s: f64| render(&Pose::walking(time_s).into(), &camera);
    assert_eq!(at(0.25), at(0.25));
    assert_ne!(at(0.0), at(0.25));
    let (now, cycles_later) = (Pose::walking(0.25), Pose::walking(0.25 + 50.0 * GAIT_CYCLE_S));
    assert!((now.left_leg.swing - cycles_later.left_leg.swing).abs() < 1e-4);

    let still = Skeleton::new(&Pose::still()).landmarks();
    for step in 0..24 {
        let pose = Pose::walking(GAIT_CYCLE_S * f64::from(step) / 24.0);
        let joints = Skeleton::new(&pose).landmarks();
        for bone in [LEFT_SHOULDER, LEFT_ELBOW, LEFT_HIP, LEFT_KNEE] {
            for side in [bone, bone + 1] {
                let (length, expected) = (
                    joints[side].distance(joints[side + 2]),
                    still[side].distance(still[side + 2]),
                );
                assert!(
                    (length - expected).abs() < 1e-4,
                    "bone {side}: {expected} became {length}"
                );
            }
        }
        let lowest = joints[LEFT_HEEL..].iter().map(|at| at.y).fold(f32::INFINITY, f32::min);
        let floor = still[LEFT_HEEL..].iter().map(|at| at.y).fold(f32::INFINITY, f32::min);
        assert!((lowest - floor).abs() < 1e-4, "a foot is {lowest} above the floor");
    }
}

#[test]
fn a_scene_shows_as_many_people_as_it_has() {
    let camera = Camera::new(640, 360);
    assert!(silhouette(&render(&Scene::empty(), &camera), &camera).iter().all(|figure| !figure));
    let trio = Scene::side_by_side(&[Pose::still(); 3], 0.9);
    let image = render(&trio, &camera);
    let noses: Vec<TrueLandmark> =
        trio.figures.iter().map(|figure| project(figure, &camera)[NOSE]).collect();
    assert!(noses.is_sorted_by(|a, b| a.x + 0.1 < b.x), "from left to right: {noses:?}");
    for nose in noses {
        assert!(is_of(pixel_at(&image, nose), SKIN), "no face at {nose:?}");
    }
}

fn encoded(clip: &Clip, extension: &str) -> tempfile::NamedTempFile {
    let suffix = format!(".{extension}");
    let file = tempfile::Builder::new().suffix(&suffix).tempfile().unwrap();
    clip.encode(file.path()).unwrap();
    file
}

fn find(bytes: &[u8], name: &[u8; 4]) -> Option<usize> {
    bytes.windows(4).position(|word| word == name)
}

/// Compares every decoded frame with its picture and its time.
fn compare(clip: &Clip, decoded: &Decoded, frames: u32) -> Result<(), String> {
    if decoded.frames.len() != frames as usize {
        return Err(format!("{} frames instead of {frames}", decoded.frames.len()));
    }
    let first = decoded.frames.first().map_or(Duration::ZERO, |frame| frame.0);
    for (n, (time, image)) in (0..).zip(&decoded.frames) {
        let picture = clip.picture(n);
        if (image.width, image.height) != (picture.width, picture.height) {
            return Err(format!("frame {n} is {}x{}", image.width, image.height));
        }
        let similarity = psnr(image, &picture);
        let others = (0..frames).filter(|m| clip.picture(*m) != picture);
        let best_other = others.map(|m| psnr(image, &clip.picture(m))).fold(0.0, f64::max);
        if similarity < 28.0 || similarity <= best_other {
            return Err(format!(
                "frame {n} matches its picture with {similarity:.1} dB, another with {best_other:.1} dB"
            ));
        }
        let late = (*time - first).abs_diff(clip.time(n));
        if late > Duration::from_millis(2) {
            return Err(format!("frame {n} comes at {time:?} instead of {:?}", clip.time(n)));
        }
    }
    Ok(())
}

#[test]
fn every_container_and_codec_gives_back_its_frames() {
    let mut faults = Vec::new();
    for &(container, codec, extension) in MATRIX {
        let brisk = |time| footage::walking(3 * time);
        let clip = Clip::new().frames(12).container(container).codec(codec).footage(brisk);
        let file = tempfile::Builder::new().suffix(&format!(".{extension}")).tempfile().unwrap();
        let outcome = clip
            .encode(file.path())
            .and_then(|()| decode(file.path()))
            .map_err(|error| format!("{error:#}"))
            .and_then(|decoded| compare(&clip, &decoded, 12));
        if let Err(fault) = outcome {
            faults.push(format!("{container:?} {codec:?} {extension}: {fault}"));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn sizes_lengths_and_rates_are_as_requested() {
    for (width, height, frames, fps) in
        [(64, 48, 1, (30, 1)), (322, 182, 5, (30_000, 1001)), (240, 320, 7, (12, 1))]
    {
        let clip = Clip::new().size(width, height).frames(frames).fps(fps.0, fps.1);
        let decoded = decode(encoded(&clip, "mp4").path()).unwrap();
        compare(&clip, &decoded, frames).unwrap();
    }
}

#[test]
fn frames_keep_uneven_times() {
    let times: Vec<_> = [0, 40, 55, 300, 310, 900].map(Duration::from_millis).into();
    for (container, extension) in [(Container::Mp4, "mp4"), (Container::Matroska, "mkv")] {
        let clip = Clip::new().times(times.clone()).container(container);
        let decoded = decode(encoded(&clip, extension).path()).unwrap();
        compare(&clip, &decoded, 6).unwrap();
    }
}

#[test]
fn tracks_are_as_requested() {
    for (container, codec) in [
        (Container::Mp4, Codec::H264),
        (Container::Mov, Codec::H264),
        (Container::Matroska, Codec::H264),
        (Container::WebM, Codec::Vp8),
        (Container::Avi, Codec::Mpeg4),
        (Container::Asf, Codec::Wmv2),
        (Container::MpegTs, Codec::H264),
    ] {
        let clip = Clip::new().frames(12).container(container).codec(codec);
        let both = encoded(&clip.clone().tracks(Tracks::VideoAndAudio), "bin");
        let decoded = decode(both.path()).unwrap();
        assert_eq!(decoded.audio_tracks, 1, "{container:?}");
        assert_eq!(decoded.frames.len(), 12, "{container:?}");
        let silent = encoded(&clip.clone(), "bin");
        assert_eq!(decode(silent.path()).unwrap().audio_tracks, 0, "{container:?}");
        let unseen = encoded(&clip.tracks(Tracks::Audio), "bin");
        assert!(decode(unseen.path()).is_err(), "{container:?} shows pictures");
    }
}

#[test]
fn the_index_is_placed_as_requested() {
    let bytes = |moov| std::fs::read(encoded(&Clip::new().moov(moov), "mp4").path()).unwrap();
    let (front, end) = (bytes(Moov::Front), bytes(Moov::End));
    assert!(find(&front, b"moov").unwrap() < find(&front, b"mdat").unwrap());
    assert!(find(&end, b"moov").unwrap() > find(&end, b"mdat").unwrap());
}

#[test]
fn rotated_clips_store_turned_frames_and_their_rotation() {
    for (rotation, tag, size) in [
        (Rotation::Clockwise90, "rotate-90", (180, 320)),
        (Rotation::Half, "rotate-180", (320, 180)),
        (Rotation::Anticlockwise90, "rotate-270", (180, 320)),
    ] {
        for (container, extension) in [(Container::Mp4, "mp4"), (Container::Mov, "mov")] {
            let clip = Clip::new().size(320, 180).frames(3).container(container).rotation(rotation);
            let clip = clip.tracks(Tracks::VideoAndAudio);
            let decoded = decode(encoded(&clip, extension).path()).unwrap();
            assert_eq!(decoded.orientation.as_deref(), Some(tag));
            let stored = &decoded.frames[0].1;
            assert_eq!((stored.width, stored.height), size);
            // One point of the upright picture, and its position in the stored one.
            let nose = clip.truth(0)[0][NOSE];
            let (x, y) = match rotation {
                Rotation::Clockwise90 => (nose.y, 1.0 - nose.x),
                Rotation::Anticlockwise90 => (1.0 - nose.y, nose.x),
                _ => (1.0 - nose.x, 1.0 - nose.y),
            };
            assert!(is_of(pixel_at(stored, TrueLandmark { index: NOSE, x, y }), SKIN));
        }
    }
}

#[test]
fn a_truncated_clip_lacks_its_end() {
    let bytes = |clip: Clip| std::fs::read(encoded(&clip, "mp4").path()).unwrap();
    let (complete, half) = (bytes(Clip::new()), bytes(Clip::new().truncated(0.5)));
    assert!(half.len().abs_diff(complete.len() / 2) < 64);
    assert!(find(&complete, b"moov").is_some());
    assert!(find(&half, b"moov").is_none());
}

#[test]
fn an_empty_clip_has_a_video_track_without_a_frame() {
    for container in [Container::Mp4, Container::Mov] {
        let file = encoded(&Clip::new().frames(0).container(container), "mp4");
        let bytes = std::fs::read(file.path()).unwrap();
        assert!(find(&bytes, b"vide").is_some());
        let count = find(&bytes, b"stsz").unwrap() + 12;
        assert_eq!(bytes[count..count + 4], [0; 4], "{container:?}");
    }
    let file = encoded(&Clip::new().frames(0).container(Container::Avi), "avi");
    let bytes = std::fs::read(file.path()).unwrap();
    assert!(find(&bytes, b"vids").is_some());
    assert!(find(&bytes, b"00dc").is_none());
}

#[test]
fn an_empty_clip_shows_no_person_and_a_pair_shows_two() {
    let clip = Clip::new().frames(2);
    assert!(clip.clone().footage(footage::empty).truth(0).is_empty());
    assert_eq!(clip.clone().footage(footage::pair).truth(1).len(), 2);
    let standing = clip.footage(footage::standing);
    assert_eq!(standing.picture(0), standing.picture(1));
}
