"""Opens pose.bvh and pose.glb with Blender, and compares its joints with those of the BVH file.

    python read.py FOLDER

Prints the largest distances in metres as a JSON object.
"""

import json
import sys
from pathlib import Path

import bpy
import numpy as np

folder = Path(sys.argv[1])


def about(axis, degrees):
    """The matrix of a rotation about an axis."""
    turned = np.eye(3)
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turned[first, first] = turned[second, second] = cosine
    turned[first, second], turned[second, first] = -sine, sine
    return turned


def read_bvh(path):
    """Time between frames, and the positions of all joints in each."""
    head, motion = path.read_text(encoding="ascii").split("MOTION\n")
    joints, open_joints = [], []
    for line in map(str.split, head.splitlines()[1:]):
        match line:
            case ["ROOT" | "JOINT", name]:
                joints.append({"name": name, "parent": open_joints[-1] if open_joints else None})
                open_joints.append(len(joints) - 1)
            case ["End", "Site"]:
                open_joints.append(None)
            case ["OFFSET", *offset] if open_joints[-1] is not None:
                joints[open_joints[-1]]["offset"] = np.array(offset, float)
            case ["}"]:
                open_joints.pop()
    frames, frame_time, *rows = motion.splitlines()
    assert int(frames.split()[1]) == len(rows)
    positions = []
    for row in rows:
        numbers = np.array(row.split(), float)
        assert len(numbers) == 3 + 3 * len(joints)
        places, rotations = [], []
        for joint, (z, x, y) in zip(joints, numbers[3:].reshape(-1, 3), strict=True):
            rotation = about(2, z) @ about(0, x) @ about(1, y)
            if joint["parent"] is None:
                place = numbers[:3]
            else:
                parent = joint["parent"]
                place = places[parent] + rotations[parent] @ joint["offset"]
                rotation = rotations[parent] @ rotation
            places.append(place)
            rotations.append(rotation)
        positions.append(dict(zip([joint["name"] for joint in joints], places, strict=True)))
    return float(frame_time.split()[2]), positions


def largest_distance(positions, frame_of):
    """Between the joints of the scene's only armature and those positions."""
    (armature,) = [thing for thing in bpy.data.objects if thing.type == "ARMATURE"]
    assert {bone.name for bone in armature.pose.bones} == set(positions[0])
    largest = 0.0
    for number, expected in enumerate(positions):
        frame, rest = divmod(frame_of(number), 1)
        bpy.context.scene.frame_set(int(frame), subframe=rest)
        for bone in armature.pose.bones:
            # Blender's Z is up, and its Y is away from the viewer.
            x, y, z = armature.matrix_world @ bone.head
            largest = max(largest, float(np.linalg.norm(expected[bone.name] - [x, z, -y])))
    return largest


frame_time, positions = read_bvh(folder / "pose.bvh")
distances = {"frames": len(positions), "joints": len(positions[0])}
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.ops.import_anim.bvh(filepath=str(folder / "pose.bvh"))
distances["bvh_m"] = largest_distance(positions, lambda number: number + 1)
bpy.ops.wm.read_factory_settings(use_empty=True)
bpy.context.scene.render.fps = round(1 / frame_time)
bpy.ops.import_scene.gltf(filepath=str(folder / "pose.glb"))
distances["glb_m"] = largest_distance(positions, lambda number: number)
print(json.dumps(distances))
