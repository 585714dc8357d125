"""Reads the tables of one run with common libraries, and reports their content.

    python read.py FOLDER

Reads pose_data.csv and joint_angles.csv with pandas, pose_data.parquet with pyarrow, pose.c3d with
ezc3d, keypoints.coco.json with pycocotools, and pose.trc and joint_angles.mot with OpenSim and by
the rules of its file formats, on which its own readers do not insist. Fails where two formats
differ. Prints one JSON object.
"""

import contextlib
import json
import sys
from pathlib import Path

import ezc3d
import numpy as np
import opensim
import pandas as pd
import pyarrow.parquet as pq
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

folder = Path(sys.argv[1])
WORLD = ["world_x", "world_y", "world_z"]


def read_trc(path):
    """Three lines of header, one of names and one of axes, then rows of tab-separated cells, of
    which an empty one is a missing value."""
    lines = path.read_text(encoding="ascii").split("\n")
    kind, version, axes, name = lines[0].split("\t")
    assert (kind, version, axes, name) == ("PathFileType", "4", "(X/Y/Z)", path.name), lines[0]
    head = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    labels = lines[3].rstrip("\t").split("\t")
    assert labels[:2] == ["Frame#", "Time"], labels[:2]
    markers = labels[2::3]
    assert all(marker for marker in markers) and not any(labels[3::3]) and not any(labels[4::3])
    components = lines[4].split()
    assert components == [f"{axis}{i}" for i in range(1, len(markers) + 1) for axis in "XYZ"]
    rows = []
    for line in lines[5:]:
        if not line.strip():
            continue
        cells = line.split("\t")[: 2 + 3 * len(markers)]
        assert len(cells) == 2 + 3 * len(markers), line
        rows.append([float(cell) if cell.strip() else np.nan for cell in cells])
    table = np.array(rows)
    assert len(table) == int(head["NumFrames"]) and len(markers) == int(head["NumMarkers"])
    assert np.array_equal(table[:, 0], np.arange(1, len(table) + 1)), "frames count from 1"
    return head, markers, table[:, 1], table[:, 2:].reshape(len(table), len(markers), 3)


def read_mot(path):
    """Lines with a name and a value up to `endheader`, one of labels, then rows of numbers."""
    head, body = path.read_text(encoding="ascii").split("endheader\n")
    values = dict(line.split("=") for line in head.splitlines()[1:])
    labels, *rows = [line.split("\t") for line in body.splitlines()]
    table = pd.DataFrame([[float(cell) for cell in row] for row in rows], columns=labels)
    assert table.shape == (int(values["nRows"]), int(values["nColumns"])), values
    assert values["inDegrees"] == "yes" and labels[0] == "time", (values, labels)
    return table.set_index("time")


def in_opensim(kind, path):
    """The times, the names of the columns and the values of a table, of which a vector is three."""
    table = kind(str(path))
    times, names = table.getIndependentColumn(), table.getColumnLabels()
    columns = [table.getDependentColumn(name) for name in names]
    cells = [[column[row] for column in columns] for row in range(len(times))]
    if kind is opensim.TimeSeriesTableVec3:
        cells = [[cell.to_numpy() for cell in row] for row in cells]
    return np.array(times), list(names), np.array(cells)


def read_coco(path):
    """Evaluates the keypoints against themselves: a reader that misses one finds less than all."""
    with contextlib.redirect_stdout(sys.stderr):
        coco = COCO(path)
        people = coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(catNms=["person"])))
        fields = ("image_id", "category_id", "keypoints", "score")
        found = coco.loadRes([{name: person[name] for name in fields} for person in people])
        evaluation = COCOeval(coco, found, "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return coco, people, evaluation.stats[0]


csv = pd.read_csv(folder / "pose_data.csv")
parquet = pq.read_table(folder / "pose_data.parquet").to_pandas()
angles = pd.read_csv(folder / "joint_angles.csv")
head, markers, times, points = read_trc(folder / "pose.trc")

assert list(csv.columns) == list(parquet.columns), (csv.columns, parquet.columns)
texts = ("strategy", "detected", "landmark")
numbers = [name for name in csv.columns if name not in texts]
apart = (csv[numbers].astype(float) - parquet[numbers].astype(float)).abs().max().max()
assert (csv[numbers].isna() == parquet[numbers].isna()).all().all(), "the same cells are empty"
assert (csv["detected"] == parquet["detected"]).all()
assert (csv["landmark"] == parquet["landmark"]).all()
assert list(csv["landmark"][: len(markers)]) == markers, "names follow landmark_id"

first = csv[csv["landmark_id"] == 0]
world = csv[WORLD].to_numpy().reshape(len(first), len(markers), 3) * [1000, -1000, -1000]
seen = ~np.isnan(world).any(axis=(1, 2))
track = first["track_id"].to_numpy()
# A track that follows another at once begins after a row without the person.
begins = np.r_[False, seen[1:] & seen[:-1] & (track[1:] != track[:-1])]
shown = ~np.isnan(points).any(axis=(1, 2))
assert np.array_equal(seen & ~begins, shown), "the frames without a person differ"
assert np.allclose(times, first["time_s"], atol=1e-6)
their_times, their_names, their_points = in_opensim(
    opensim.TimeSeriesTableVec3, folder / "pose.trc"
)
assert their_names == markers and np.array_equal(their_times, times)
assert np.array_equal(their_points, points, equal_nan=True), "OpenSim has the same points"

c3d = ezc3d.c3d(str(folder / "pose.c3d"))
point = c3d["parameters"]["POINT"]
assert point["LABELS"]["value"] == markers
assert c3d["data"]["points"].shape == (4, len(markers), len(first)), "all frames are read"
single = parquet[WORLD].to_numpy(np.float32).reshape(len(first), len(markers), 3)
single = single * np.float32([1000, -1000, -1000])
read = c3d["data"]["points"][:3].transpose(2, 1, 0)
assert np.array_equal(read[shown], single[shown]), "floats are the same"
residuals = c3d["data"]["meta_points"]["residuals"][0].T
assert (residuals[shown] == 0).all() and (residuals[~shown] == -1).all()

motion = read_mot(folder / "joint_angles.mot")
names = [name for name in angles.columns if name.endswith("_deg")]
assert list(motion.columns) == names
expected = np.where(begins[:, None], np.nan, angles[names].to_numpy())
assert np.array_equal(motion.to_numpy(), expected, equal_nan=True)
assert np.array_equal(motion.index, angles["time_s"])
their_times, their_names, their_angles = in_opensim(
    opensim.TimeSeriesTable, folder / "joint_angles.mot"
)
assert their_names == names and np.array_equal(their_times, motion.index)
assert np.array_equal(their_angles, expected, equal_nan=True), "OpenSim has the same angles"

document = json.loads((folder / "pose_data.json").read_text())
lines = (folder / "pose_data.ndjson").read_text().splitlines()
assert [json.loads(line) for line in lines] == document["frames"]
assert len(pd.read_json(folder / "pose_data.ndjson", lines=True)) == len(first)

coco, people, precision = read_coco(folder / "keypoints.coco.json")
assert coco.getImgIds() == list(first["frame_id"])
assert [person["image_id"] for person in people] == list(first["frame_id"][seen])
names_of_category = coco.loadCats(1)[0]["keypoints"]
of_coco = csv[csv["landmark"].isin(names_of_category) & csv["detected"]]
pixels = of_coco[["x", "y"]].to_numpy() * [document["video"]["width"], document["video"]["height"]]
keypoints = np.array([person["keypoints"] for person in people]).reshape(-1, 3)
labelled = keypoints[:, 2] > 0
coco_apart = np.abs(keypoints[:, :2] - pixels)[labelled].max()

print(json.dumps({
    "c3d_units": point["UNITS"]["value"][0],
    "c3d_rate": float(point["RATE"]["value"][0]),
    "coco_csv_apart_px": float(coco_apart),
    "coco_labelled": int(labelled.sum()),
    "coco_keypoints": names_of_category,
    "coco_precision": float(precision),
    "rows": len(csv),
    "frames": int(csv["frame_id"].nunique()),
    "frames_with_person": int(first["detected"].sum()),
    "csv_types": {name: str(kind) for name, kind in csv.dtypes.items()},
    "parquet_types": {name: str(kind) for name, kind in parquet.dtypes.items()},
    "csv_parquet_apart": float(apart),
    "trc_units": head["Units"].strip(),
    "trc_rate": float(head["DataRate"]),
    "trc_markers": markers,
    "trc_csv_apart_mm": float(np.nanmax(np.abs(world - points))),
    "angles": names,
    "angles_rows": len(angles),
    "angles_known": int(angles["left_knee_flexion_deg"].notna().sum()),
}))
