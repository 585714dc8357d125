"""The difference between two runs of MediaPipe when one pixel of each frame differs by one grey level.

    python stability.py VIDEO

Tracking feeds back: a region moved by a hundredth of a pixel moves landmarks of an unclear person by
several pixels. The printed agreement is the best that can be expected of another implementation.
"""

import sys

import numpy as np

from graph import PoseGraph, video

REPEATS = 8


def altered(pictures, random):
    for picture in pictures:
        picture = picture.copy()
        height, width = picture.shape[:2]
        pixel = picture[random.integers(height), random.integers(width)]
        pixel[:] = np.where(pixel > 127, pixel - 1, pixel + 1)
        yield picture


def apart(ours, theirs, size):
    both = [(a, b) for a, b in zip(ours, theirs) if a[0] is not None and b[0] is not None]
    moved = np.array([np.hypot(*((a[0] - b[0])[:, :2] * size).T) for a, b in both])
    moved *= 100 / np.hypot(*size)
    visibility = np.mean([abs(a[0] - b[0])[:, 3].mean() for a, b in both])
    world = np.mean([np.linalg.norm(a[1] - b[1], axis=1).mean() for a, b in both])
    lost = sum(a[0] is not None and b[0] is None for a, b in zip(theirs, ours))
    return (
        f"frames lost {lost}, mean {moved.mean():.3f} %, p95 {np.percentile(moved, 95):.3f} %, "
        f"visibility {visibility:.4f}, world {world * 100:.2f} cm"
    )


pictures = list(video(sys.argv[1]))
size = pictures[0].shape[1::-1]
plain = list(PoseGraph(smooth=True).frames(pictures))
random = np.random.default_rng(0)
for _ in range(REPEATS):
    print(apart(list(PoseGraph(smooth=True).frames(altered(pictures, random))), plain, size), flush=True)
