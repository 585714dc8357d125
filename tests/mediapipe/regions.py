"""Writes the region MediaPipe looks in at each frame of a video, in pixels and radians.

    python regions.py VIDEO > ../../worker/tests/tracking/regions.csv
"""

import csv
import sys

from graph import PoseGraph, video

rows = csv.writer(sys.stdout, lineterminator="\n")
rows.writerow(["frame_id", "center_x", "center_y", "side", "rotation"])
pictures = list(video(sys.argv[1]))
height, width = pictures[0].shape[:2]
for frame, (_, _, region) in enumerate(PoseGraph(smooth=True).frames(pictures)):
    if region is not None:
        at = (region.x_center * width, region.y_center * height, region.width * width)
        rows.writerow([frame, *(f"{value:.9g}" for value in (*at, region.rotation))])
