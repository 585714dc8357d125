//! pose.glb: a document, and a binary chunk that has what the document describes; nothing outside of the file is
//! referred to.

use super::content::Content;
use super::invalid::{Invalid, ensure, equal};
use super::{Expected, SCANNED_BYTES_MAX};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::io::Read;

const HEAD_BYTES: u64 = 12;
const CHUNK_HEAD_BYTES: u64 = 8;
/// Numbers of the component types.
const FLOAT: u32 = 5126;
const UNSIGNED_SHORT: u32 = 5123;
const UNSIGNED_BYTE: u32 = 5121;
/// More parts than a skeleton has.
const PARTS_MAX: usize = 64;

/// What the document may have, as far as it is checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    asset: Asset,
    #[serde(rename = "scene")]
    _scene: IgnoredAny,
    #[serde(rename = "scenes")]
    _scenes: IgnoredAny,
    #[serde(rename = "nodes")]
    _nodes: IgnoredAny,
    #[serde(rename = "skins")]
    _skins: IgnoredAny,
    #[serde(rename = "meshes")]
    _meshes: IgnoredAny,
    accessors: Vec<Accessor>,
    buffer_views: Vec<View>,
    buffers: [Buffer; 1],
    #[serde(default)]
    animations: Vec<Animation>,
}

#[derive(Deserialize)]
struct Asset {
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Accessor {
    buffer_view: usize,
    component_type: u32,
    count: u64,
    #[serde(rename = "type")]
    shape: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct View {
    buffer: u32,
    byte_offset: u64,
    byte_length: u64,
}

/// Without an address: its content is the binary chunk.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Buffer {
    byte_length: u64,
}

#[derive(Deserialize)]
struct Animation {
    samplers: Vec<Sampler>,
}

#[derive(Deserialize)]
struct Sampler {
    input: usize,
    output: usize,
}

pub(super) fn check(content: &Content<'_>, expected: &Expected) -> Result<(), Invalid> {
    let number = |bytes: [u8; 4]| u64::from(u32::from_le_bytes(bytes));
    let head = content.array::<{ HEAD_BYTES as usize }>(0)?;
    ensure(head[..8] == *b"glTF\x02\0\0\0", "it is no GLB of version 2")?;
    equal("bytes in its head", number(content.array(8)?), content.bytes())?;
    let chunk = |at: u64, kind: &[u8; 4]| {
        ensure(content.array(at + 4)? == *kind, "its chunks differ")?;
        Ok::<_, Invalid>(number(content.array(at)?))
    };
    let document_bytes = chunk(HEAD_BYTES, b"JSON")?;
    let binary_head = HEAD_BYTES + CHUNK_HEAD_BYTES + document_bytes;
    let binary_bytes = chunk(binary_head, b"BIN\0")?;
    let binary_start = binary_head + CHUNK_HEAD_BYTES;
    equal("bytes of its chunks", binary_start + binary_bytes, content.bytes())?;
    let document = content.piece(HEAD_BYTES + CHUNK_HEAD_BYTES, document_bytes)?;
    let document: Document = serde_json::from_slice(&document)?;
    ensure(document.asset.version == "2.0", "its version differs")?;
    equal("bytes of its buffer", document.buffers[0].byte_length, binary_bytes)?;
    check_animation(&document, expected.summary.frames_processed.into())?;
    check_parts(&document, content, (binary_start, binary_bytes))
}

/// Checks that there is one animation with a value for each frame; none without frames.
fn check_animation(document: &Document, frames: u64) -> Result<(), Invalid> {
    equal("animations", document.animations.len() as u64, u64::from(frames > 0))?;
    for Sampler { input, output } in document.animations.iter().flat_map(|it| &it.samplers) {
        for accessor in [input, output] {
            let accessor = document.accessors.get(*accessor);
            equal("frames", accessor.map_or(0, |accessor| accessor.count), frames)?;
        }
    }
    Ok(())
}

/// Checks that every part is in the binary chunk and has the numbers it should.
fn check_parts(
    document: &Document,
    content: &Content<'_>,
    (start, bytes): (u64, u64),
) -> Result<(), Invalid> {
    let Document { accessors, buffer_views, .. } = document;
    ensure(accessors.len() <= PARTS_MAX, "it has too many parts")?;
    let mut scanned = 0;
    for Accessor { buffer_view, component_type, count, shape } in accessors {
        let view = buffer_views.get(*buffer_view);
        let View { buffer, byte_offset, byte_length } =
            view.ok_or(Invalid::Malformed("a part is missing"))?;
        let end = byte_offset.checked_add(*byte_length).filter(|end| *end <= bytes);
        let end = end.filter(|_| *buffer == 0).ok_or(Invalid::Malformed("a part is missing"))?;
        let value_bytes = component_bytes(*component_type)? * components(shape)?;
        equal("bytes of a part", *byte_length, count.saturating_mul(value_bytes))?;
        scanned += byte_length;
        if *component_type == FLOAT && scanned <= SCANNED_BYTES_MAX {
            check_numbers(content, (start + byte_offset, start + end))?;
        }
    }
    Ok(())
}

fn component_bytes(component_type: u32) -> Result<u64, Invalid> {
    match component_type {
        FLOAT => Ok(4),
        UNSIGNED_SHORT => Ok(2),
        UNSIGNED_BYTE => Ok(1),
        _ => Err(Invalid::Malformed("a part has numbers of an unknown type")),
    }
}

fn components(shape: &str) -> Result<u64, Invalid> {
    match shape {
        "SCALAR" => Ok(1),
        "VEC3" => Ok(3),
        "VEC4" => Ok(4),
        "MAT4" => Ok(16),
        _ => Err(Invalid::Malformed("a part has values of an unknown shape")),
    }
}

fn check_numbers(content: &Content<'_>, (from, to): (u64, u64)) -> Result<(), Invalid> {
    let mut reader = content.buffered(from, to);
    for _ in 0..(to - from) / 4 {
        let mut number = [0; 4];
        reader.read_exact(&mut number)?;
        ensure(f32::from_le_bytes(number).is_finite(), "a number is not finite")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{fault, replace};
    use bodyscript_protocol::artefact::Artefact;

    #[test]
    fn faults_are_named() {
        let glb = |from, to| fault(Artefact::Glb, replace(from, to));
        assert_eq!(glb("glTF", "glXF"), "it is no GLB of version 2");
        assert_eq!(glb("JSON", "NOSJ"), "its chunks differ");
        assert_eq!(glb("\"2.0\"", "\"3.0\""), "its version differs");
        assert_eq!(glb("\"count\":3,", "\"count\":4,"), "frames: 4 instead of 3");
        assert_eq!(glb("\"VEC3\"", "\"VEC9\""), "a part has values of an unknown shape");
        assert_eq!(glb("\"VEC3\"", "\"VEC4\""), "bytes of a part: 36 instead of 48");
        let outside = glb("\"byteLength\":48}]", "\"uri\":\"file://\"}]");
        assert!(outside.starts_with("unknown field `uri`"), "{outside}");
        let infinite = |bytes: &mut Vec<u8>| {
            let at = bytes.len() - 4;
            bytes[at..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        };
        assert_eq!(fault(Artefact::Glb, infinite), "a number is not finite");
    }
}
