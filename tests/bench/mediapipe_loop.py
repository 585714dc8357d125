"""MediaPipe's pose loop on a video as programs of its users have it, by turns.

    python mediapipe_loop.py loop|drawn
    python mediapipe_loop.py once VIDEO

The lines that come name videos. `loop` finds poses and drops them; `drawn` draws them and writes an
MP4. Importing the packages is not measured, opening the graph is. `once` takes no turns: it is the
loop as a program of its own.
"""

import sys
import tempfile
from pathlib import Path

import cv2
import mediapipe as mp

import turns

CONFIDENCE_MIN = 0.2
SOLUTION = mp.solutions.pose
DRAWING = mp.solutions.drawing_utils


def pose(**more):
    """The graph, with the confidences that the service has."""
    return SOLUTION.Pose(
        model_complexity=1,
        min_detection_confidence=CONFIDENCE_MIN,
        min_tracking_confidence=CONFIDENCE_MIN,
        **more,
    )


def pictures(video):
    """Each frame as OpenCV decodes it, BGR."""
    capture = cv2.VideoCapture(video)
    is_there, picture = capture.read()
    if not is_there:
        raise turns.CannotDo(f"OpenCV gives no picture of {Path(video).name}")
    while is_there:
        yield picture
        is_there, picture = capture.read()


def loop(video):
    frames = 0
    with pose() as graph:
        for picture in pictures(video):
            graph.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB))
            frames += 1
    return frames


def drawn(video):
    rate = cv2.VideoCapture(video).get(cv2.CAP_PROP_FPS)
    frames, writer = 0, None
    with pose() as graph, tempfile.TemporaryDirectory() as folder:
        for picture in pictures(video):
            found = graph.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).pose_landmarks
            if found:
                DRAWING.draw_landmarks(picture, found, SOLUTION.POSE_CONNECTIONS)
            if writer is None:
                path = str(Path(folder) / "output.mp4")
                size = picture.shape[1::-1]
                writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), rate, size)
            writer.write(picture)
            frames += 1
        if writer:
            writer.release()
    return frames


if __name__ == "__main__":
    if sys.argv[1] == "once":
        loop(sys.argv[2])
        sys.exit()
    work = {"loop": loop, "drawn": drawn}[sys.argv[1]]
    turns.take(
        lambda video: turns.timed(lambda: work(video)),
        ["mediapipe", "opencv-contrib-python-headless", "numpy"],
    )
