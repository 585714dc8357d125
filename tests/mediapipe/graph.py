"""MediaPipe's pose graph with access to its inner streams. Used by the scripts beside it."""

import cv2
import numpy as np
from mediapipe.python.solution_base import SolutionBase

GRAPH = "mediapipe/modules/pose_landmark/pose_landmark_cpu.binarypb"
STREAMS = ["pose_landmarks", "pose_world_landmarks", "pose_rect"]
CONFIDENCE_MIN = 0.2


class PoseGraph(SolutionBase):
    """One person, complexity 1, both confidences 0.2."""

    def __init__(self, smooth, track=True):
        threshold = "TensorsToDetectionsCalculator.min_score_thresh"
        flag = "tensorstoposelandmarksandsegmentation__ThresholdingCalculator.threshold"
        super().__init__(
            binary_graph_path=GRAPH,
            side_inputs={
                "model_complexity": 1,
                "smooth_landmarks": smooth,
                "enable_segmentation": False,
                "smooth_segmentation": False,
                "use_prev_landmarks": track,
            },
            calculator_params={
                f"posedetectioncpu__{threshold}": CONFIDENCE_MIN,
                f"poselandmarkbyroicpu__{flag}": CONFIDENCE_MIN,
            },
            outputs=STREAMS,
        )

    def frames(self, pictures):
        """Of each picture: landmarks (33x4: x, y, z, visibility), world (33x3) and region, or None."""
        for picture in pictures:
            result = self.process({"image": picture})
            yield (
                numbers(result.pose_landmarks, ("x", "y", "z", "visibility")),
                numbers(result.pose_world_landmarks, ("x", "y", "z")),
                result.pose_rect,
            )


def numbers(landmarks, names):
    if landmarks is None:
        return None
    return np.array([[getattr(at, name) for name in names] for at in landmarks.landmark])


def video(path):
    """The frames of a video as OpenCV decodes them."""
    capture = cv2.VideoCapture(str(path))
    while True:
        there, picture = capture.read()
        if not there:
            return
        yield cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
