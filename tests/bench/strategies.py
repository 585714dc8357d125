"""The modes `ultra_fast`, `fast` and `smart` in OpenCV and MediaPipe, by turns.

    python strategies.py MODE

The lines that come name videos. Plans, order, early exit and constants are those of
worker/src/pose/frame_search.rs and enhance.rs, so that both sides do the same work for a frame. Pictures are
turned into RGB once, not once for each enhancement.
"""

import sys

import cv2
import numpy as np

import mediapipe_loop
import turns

GOOD_ENOUGH, POOR, FAIR, FAVOURITES = 0.9, 0.7, 0.85, 3
SHARPEN = np.array([[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]])


def clahe(picture):
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)
    equalizer = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8))
    lab[:, :, 0] = equalizer.apply(lab[:, :, 0])
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def lower_enhanced(picture):
    changed, half = picture.copy(), picture.shape[0] // 2
    changed[half:] = cv2.convertScaleAbs(picture[half:], alpha=2.0, beta=40)
    return changed


def hist_eq(picture):
    yuv = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV)
    yuv[:, :, 0] = cv2.equalizeHist(yuv[:, :, 0])
    return cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB)


# In the order in which the best of equals are ranked.
ENHANCEMENTS = {
    "original": lambda picture: picture,
    "clahe": clahe,
    "mirrored": lambda picture: cv2.flip(picture, 1),
    "bright": lambda picture: cv2.convertScaleAbs(picture, alpha=1.5, beta=30),
    "gaussian": lambda picture: cv2.GaussianBlur(picture, (5, 5), 0),
    "lower_enhanced": lower_enhanced,
    "very_bright": lambda picture: cv2.convertScaleAbs(picture, alpha=2.0, beta=50),
    "sharpened": lambda picture: cv2.filter2D(picture, -1, SHARPEN),
    "hist_eq": hist_eq,
    "bilateral": lambda picture: cv2.bilateralFilter(picture, 9, 75, 75),
}


class Best:
    """What is tried for each frame, and what has served so far."""

    def __init__(self, mode):
        self.mode = mode
        self.last = 0.0
        self.wins = dict.fromkeys(ENHANCEMENTS, 0)

    def plan(self):
        if self.mode == "ultra_fast":
            more = ["mirrored"]
        elif self.mode == "fast":
            more = ["mirrored", "bright", "gaussian", "lower_enhanced"]
        elif self.last < POOR:
            more = ["bright", "very_bright", "lower_enhanced", "mirrored", "bilateral"]
        elif self.last < FAIR:
            more = ["mirrored", "lower_enhanced"]
        else:
            more = ["mirrored"]
        if self.mode == "smart":
            ranked = sorted(self.wins, key=self.wins.get, reverse=True)
            more += [name for name in ranked if self.wins[name] > 0][:FAVOURITES]
        return list(dict.fromkeys(["original", "clahe", *more]))

    def next(self, graph, picture):
        plan, winner = self.plan(), None
        self.last = 0.0
        for name in plan:
            found = graph.process(ENHANCEMENTS[name](picture)).pose_landmarks
            if not found:
                continue
            visibility = sum(at.visibility for at in found.landmark) / len(found.landmark)
            if winner is None or visibility > self.last:
                self.last, winner = visibility, name
            if self.last > GOOD_ENOUGH:
                break
        if winner:
            self.wins[winner] += 1
        return winner


def work(mode, video):
    frames, best = 0, Best(mode)
    with mediapipe_loop.pose(static_image_mode=True) as graph:
        for picture in mediapipe_loop.pictures(video):
            best.next(graph, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            frames += 1
    return frames


if __name__ == "__main__":
    mode = sys.argv[1]
    if mode not in ("ultra_fast", "fast", "smart"):
        sys.exit(f"{mode} is not ultra_fast, fast or smart")
    turns.take(
        lambda video: turns.timed(lambda: work(mode, video)),
        ["mediapipe", "opencv-contrib-python-headless", "numpy"],
    )
