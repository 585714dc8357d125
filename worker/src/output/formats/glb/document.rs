//! The document of a GLB: what the binary part of the file contains, and how it belongs together (glTF 2.0,
//! ISO/IEC 12113).

use super::mesh::{INDICES, Mesh, VERTICES};
use crate::motion::vector::subtract;
use crate::motion::{JOINT_COUNT, JOINTS};
use bodyscript_protocol::skeleton;
use serde_json::{Value, json};

/// Numbers of the accessors, which are those of the parts of the binary chunk.
const TIMES: usize = 5;
const HIPS: usize = 6;
const ROTATIONS: usize = 7;
const PARTS: usize = ROTATIONS + JOINT_COUNT;

const FLOAT: u32 = 5126;
const UNSIGNED_SHORT: u32 = 5123;
const UNSIGNED_BYTE: u32 = 5121;

/// A kind of values in the binary chunk.
struct Part {
    count: usize,
    component: u32,
    shape: &'static str,
    bytes: usize,
}

/// The parts of the binary chunk, in order: corners, the joint of each, its weight, triangles, joints in the rest pose,
/// times, positions of the hips, rotations of each joint.
fn part(number: usize, frames: usize) -> Part {
    let (count, component, shape, bytes) = match number {
        0 => (VERTICES, FLOAT, "VEC3", 12),
        1 => (VERTICES, UNSIGNED_BYTE, "VEC4", 4),
        2 => (VERTICES, FLOAT, "VEC4", 16),
        3 => (INDICES, UNSIGNED_SHORT, "SCALAR", 2),
        4 => (JOINT_COUNT, FLOAT, "MAT4", 64),
        TIMES => (frames, FLOAT, "SCALAR", 4),
        HIPS => (frames, FLOAT, "VEC3", 12),
        _ => (frames, FLOAT, "VEC4", 16),
    };
    Part { count, component, shape, bytes }
}

/// Bytes of the binary chunk with this number of frames.
pub(super) fn binary_bytes(frames: usize) -> usize {
    starts(frames)[PARTS]
}

/// Where each part begins, and where the last one ends.
fn starts(frames: usize) -> [usize; PARTS + 1] {
    let mut starts = [0; PARTS + 1];
    for number in 0..PARTS {
        let Part { count, bytes, .. } = part(number, frames);
        starts[number + 1] = starts[number] + count * bytes;
    }
    starts
}

/// The document of a file with this number of frames, and the times of the first and the last.
pub(super) fn document(mesh: &Mesh, frames: usize, times: [f32; 2]) -> Vec<u8> {
    // What has no values must not be described.
    let parts = if frames == 0 { TIMES } else { PARTS };
    let starts = starts(frames);
    let views = (0..parts).map(|number| {
        let bytes = starts[number + 1] - starts[number];
        json!({ "buffer": 0, "byteOffset": starts[number], "byteLength": bytes })
    });
    let accessors = (0..parts).map(|number| accessor(number, mesh, frames, times));
    let mut document = json!({
        "asset": { "version": "2.0", "generator": "BodyScript" },
        "scene": 0,
        "scenes": [{ "nodes": [0, JOINT_COUNT] }],
        "nodes": nodes(mesh),
        "skins": [{
            "joints": (0..JOINT_COUNT).collect::<Vec<_>>(),
            "skeleton": 0,
            "inverseBindMatrices": 4,
        }],
        "meshes": [{
            "primitives": [{
                "attributes": { "POSITION": 0, "JOINTS_0": 1, "WEIGHTS_0": 2 },
                "indices": 3,
            }],
        }],
        "accessors": accessors.collect::<Vec<_>>(),
        "bufferViews": views.collect::<Vec<_>>(),
        "buffers": [{ "byteLength": starts[PARTS] }],
    });
    if frames > 0 {
        document["animations"] = json!([animation()]);
    }
    document.to_string().into_bytes()
}

fn accessor(number: usize, mesh: &Mesh, frames: usize, [first, last]: [f32; 2]) -> Value {
    let Part { count, component, shape, .. } = part(number, frames);
    let mut accessor =
        json!({ "bufferView": number, "componentType": component, "count": count, "type": shape });
    let bounds = match number {
        0 => Some(mesh.bounds().map(|bound| json!(bound))),
        TIMES => Some([json!([first]), json!([last])]),
        _ => None,
    };
    if let Some([low, high]) = bounds {
        (accessor["min"], accessor["max"]) = (low, high);
    }
    accessor
}

/// One node for each joint, and one for the body.
fn nodes(mesh: &Mesh) -> Vec<Value> {
    let mut nodes: Vec<Value> = (0..JOINT_COUNT)
        .map(|i| {
            let children: Vec<usize> =
                (0..JOINT_COUNT).filter(|child| JOINTS[*child].parent == Some(i)).collect();
            let parent = JOINTS[i].parent.map_or([0.0; 3], |parent| mesh.joints[parent]);
            let place = subtract(mesh.joints[i], parent).map(|metres| metres as f32);
            let mut node = json!({ "name": skeleton::JOINTS[i].name, "translation": place });
            if !children.is_empty() {
                node["children"] = json!(children);
            }
            node
        })
        .collect();
    nodes.push(json!({ "name": "Body", "mesh": 0, "skin": 0 }));
    nodes
}

fn animation() -> Value {
    let outputs = HIPS..PARTS;
    let samplers = outputs.clone().map(|output| json!({ "input": TIMES, "output": output }));
    let channels = outputs.enumerate().map(|(sampler, output)| {
        let (node, path) = match output {
            HIPS => (0, "translation"),
            rotation => (rotation - ROTATIONS, "rotation"),
        };
        json!({ "sampler": sampler, "target": { "node": node, "path": path } })
    });
    json!({
        "name": "Pose",
        "samplers": samplers.collect::<Vec<_>>(),
        "channels": channels.collect::<Vec<_>>(),
    })
}
