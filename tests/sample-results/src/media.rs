//! MP4 and JPEG: complete headers around zeros.

use crate::SampleRun;
use bodyscript_protocol::layout::{
    THUMBNAIL_WIDTH_MAX, encoded_size, preview_size, thumbnail_size,
};

pub(crate) fn video(run: &SampleRun) -> Vec<u8> {
    let size = encoded_size(run.picture_size());
    mp4(size, run.summary.frames_decoded)
}

pub(crate) fn preview(run: &SampleRun) -> Vec<u8> {
    let size = encoded_size(preview_size(run.picture_size()));
    mp4(size, run.summary.frames_decoded.min(1))
}

pub(crate) fn thumbnail(run: &SampleRun) -> Vec<u8> {
    picture(thumbnail_size(run.picture_size(), THUMBNAIL_WIDTH_MAX))
}

/// A JPEG of this size.
pub(crate) fn picture(size: [u32; 2]) -> Vec<u8> {
    let [width, height] = size.map(|side| (side as u16).to_be_bytes());
    let frame = [&[8][..], &height, &width, &[1, 1, 0x11, 0]].concat();
    let segment = |marker: u8, body: &[u8]| {
        [&[0xff, marker][..], &(2 + body.len() as u16).to_be_bytes(), body].concat()
    };
    [
        &[0xff, 0xd8][..],
        &segment(0xe0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0"),
        &segment(0xc0, &frame),
        &segment(0xda, &[1, 1, 0, 0, 63, 0]),
        &[0, 0xff, 0, 0xff, 0xd0, 0],
        &[0xff, 0xd9],
    ]
    .concat()
}

/// The sizes of the samples are one byte each.
fn mp4([width, height]: [u32; 2], frames: u32) -> Vec<u8> {
    let file_type = mp4_box(b"ftyp", &[b"isom\0\0\x02\0isommp41"]);
    // The index has the same size wherever the samples are.
    let at = (file_type.len() + movie([width, height], frames, 0).len() + 8) as u32;
    let media = mp4_box(b"mdat", &[&vec![0; frames as usize]]);
    [file_type, movie([width, height], frames, at), media].concat()
}

fn movie([width, height]: [u32; 2], frames: u32, at: u32) -> Vec<u8> {
    let word = u32::to_be_bytes;
    let sides = [word(width << 16), word(height << 16)].concat();
    let coded = [(width as u16).to_be_bytes(), (height as u16).to_be_bytes()].concat();
    let entry = mp4_box(b"avc1", &[&[0; 24], &coded, &[0; 50]]);
    let table = [
        mp4_box(b"stsd", &[&[0; 4], &word(1), &entry]),
        mp4_box(b"stsz", &[&[0; 4], &word(0), &word(frames), &word(1).repeat(frames as usize)]),
        mp4_box(b"stco", &[&[0; 4], &word(1), &word(at)]),
    ];
    let information = mp4_box(b"minf", &[&mp4_box(b"stbl", &[&table.concat()])]);
    let handler = mp4_box(b"hdlr", &[&[0; 8], b"vide", &[0; 13]]);
    let media = mp4_box(b"mdia", &[&handler, &information]);
    let track = mp4_box(b"trak", &[&mp4_box(b"tkhd", &[&[0; 76], &sides]), &media]);
    mp4_box(b"moov", &[&mp4_box(b"mvhd", &[&[0; 100]]), &track])
}

fn mp4_box(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    [&(8 + body.len() as u32).to_be_bytes(), &kind[..], &body].concat()
}
