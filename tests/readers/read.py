"""Reads the tables of one run with common libraries, and reports their content.

    python read.py FOLDER

Reads pose_data.csv and joint_angles.csv with pandas, pose_data.parquet with pyarrow, and pose.trc
by the rules of OpenSim's own reader: three lines of header, one of names and one of axes, then rows
of tab-separated cells, of which an empty one is a missing value. Prints one JSON object.
"""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

folder = Path(sys.argv[1])
WORLD = ["world_x", "world_y", "world_z"]


def read_trc(path):
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


csv = pd.read_csv(folder / "pose_data.csv")
parquet = pq.read_table(folder / "pose_data.parquet").to_pandas()
angles = pd.read_csv(folder / "joint_angles.csv")
head, markers, times, points = read_trc(folder / "pose.trc")

assert list(csv.columns) == list(parquet.columns), (csv.columns, parquet.columns)
numbers = [name for name in csv.columns if name not in ("strategy", "detected")]
apart = (csv[numbers].astype(float) - parquet[numbers].astype(float)).abs().max().max()
assert (csv[numbers].isna() == parquet[numbers].isna()).all().all(), "the same cells are empty"
assert (csv["detected"] == parquet["detected"]).all()

first = csv[csv["landmark_id"] == 0]
world = csv[WORLD].to_numpy().reshape(len(first), len(markers), 3) * [1000, -1000, -1000]
seen = ~np.isnan(world).any(axis=(1, 2))
assert np.array_equal(seen, ~np.isnan(points).any(axis=(1, 2))), "the frames without a person differ"
assert np.allclose(times, first["time_s"], atol=1e-6)

print(json.dumps({
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
    "angles": [name for name in angles.columns if name.endswith("_deg")],
    "angles_rows": len(angles),
    "angles_known": int(angles["left_knee_flexion_deg"].notna().sum()),
}))
