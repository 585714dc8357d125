//! Skeletons in motion.

use crate::SampleRun;
use bodyscript_protocol::skeleton::{BVH_MOTION, BVH_NUMBERS, bvh_hierarchy, bvh_motion};
use serde_json::json;

pub(crate) fn bvh(run: &SampleRun) -> String {
    let rows = run.summary.frames_processed;
    let head = bvh_hierarchy(&[[0.0, 0.25, 0.0]; _], &[[0.0, 0.0, 0.1]; _]).into_iter();
    let motion = [BVH_MOTION.to_owned()].into_iter().chain(bvh_motion(rows, 0.04));
    let rows = run.frames().map(|_| format!("0.5{}", " 1.5000".repeat(BVH_NUMBERS - 1)));
    head.chain(motion).chain(rows).map(|line| line + "\n").collect()
}

/// Only the movement of the root.
pub(crate) fn glb(run: &SampleRun) -> Vec<u8> {
    let frames = run.summary.frames_processed as usize;
    let (times, places) = (4 * frames, 12 * frames);
    let document = json!({
        "asset": { "version": "2.0" },
        "scene": 0,
        "scenes": [{ "nodes": [0] }],
        "nodes": [{ "name": "Hips" }],
        "skins": [],
        "meshes": [],
        "accessors": [
            { "bufferView": 0, "componentType": 5126, "count": frames, "type": "SCALAR" },
            { "bufferView": 1, "componentType": 5126, "count": frames, "type": "VEC3" },
        ],
        "bufferViews": [
            { "buffer": 0, "byteOffset": 0, "byteLength": times },
            { "buffer": 0, "byteOffset": times, "byteLength": places },
        ],
        "buffers": [{ "byteLength": times + places }],
        "animations": [{
            "samplers": [{ "input": 0, "output": 1 }],
            "channels": [{ "sampler": 0, "target": { "node": 0, "path": "translation" } }],
        }],
    });
    let mut document = document.to_string().into_bytes();
    document.resize(document.len().next_multiple_of(4), b' ');
    let number = |bytes: usize| (bytes as u32).to_le_bytes();
    let bytes = 12 + 8 + document.len() + 8 + times + places;
    let head = [*b"glTF", number(2), number(bytes), number(document.len()), *b"JSON"].concat();
    let binary_head = [number(times + places), *b"BIN\0"].concat();
    let numbers = 0.5_f32.to_le_bytes().repeat(4 * frames);
    [head, document, binary_head, numbers].concat()
}
