"""Measures MediaPipe on the clips of tests/tests/service/ground_truth.rs against the figures' true joints.

    TRUTH_CLIPS=FOLDER cargo test --locked --workspace --test service ground_truth::    # writes clips and joints.csv
    python truth.py FOLDER > truth.csv
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from graph import PoseGraph, video

folder = Path(sys.argv[1])
joints = defaultdict(lambda: defaultdict(dict))
for row in csv.DictReader(open(folder / "joints.csv")):
    at = (float(row["x"]), float(row["y"]))
    joints[row["clip"]][int(row["frame_id"])][int(row["landmark_id"])] = at

rows = csv.writer(sys.stdout, lineterminator="\n")
rows.writerow(["clip", "frames", "mean", "jitter"])
for clip, truth in joints.items():
    pictures = list(video(folder / f"{clip}.mp4"))
    height, width = pictures[0].shape[:2]
    size = np.array([width, height]) / np.hypot(width, height)
    seen, apart, trembling = {}, [], []
    for frame, (landmarks, _, _) in enumerate(PoseGraph(smooth=True).frames(pictures)):
        if landmarks is None:
            continue
        seen[frame] = landmarks[:, :2] * size
        for landmark, at in truth[frame].items():
            apart.append(np.hypot(*(seen[frame][landmark] - np.array(at) * size)))
            if frame - 1 in seen and frame - 2 in seen:
                three = [seen[frame - back][landmark] for back in range(3)]
                trembling.append(((three[0] - 2 * three[1] + three[2]) ** 2).sum())
    rows.writerow([clip, len(seen), f"{np.mean(apart):.7f}", f"{np.sqrt(np.mean(trembling)):.7f}"])
