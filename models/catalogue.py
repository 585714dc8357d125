"""What the converted models are: where they come from and what their tensors mean.

Read by convert.py, which writes it into MANIFEST.toml, and by reference.py. Meanings are
those of the MediaPipe graphs that use the models: `pose_detection` and `pose_landmark`,
with the calculators TensorsToDetections, TensorsToLandmarks and RefineLandmarksFromHeatmap.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Output:
    """One output in the order of the .tflite file."""

    name: str
    meaning: str


@dataclass(frozen=True)
class Model:
    """One model; an output that is None is left out of the conversion."""

    name: str
    source: str
    """The package it comes from: a table of [source] in MANIFEST.toml."""
    source_path: str
    input_range: tuple[float, float]
    input_meaning: str
    outputs: tuple[Output | None, ...]
    is_stored: bool = True
    """Whether the converted file is in the repository and in packages."""

    @property
    def file(self) -> str:
        """The converted file's name."""
        return f"{self.name}.onnx"


INPUT_NAME = "input"

DETECTOR = Model(
    name="pose_detection",
    source="wheel",
    source_path="mediapipe/modules/pose_detection/pose_detection.tflite",
    input_range=(-1.0, 1.0),
    input_meaning="RGB, planar; the whole picture, letterboxed to a square",
    outputs=(
        Output(
            "boxes",
            "per anchor: box centre x, y, width, height, then x, y of four keypoints (mid-hip, "
            "full-body extent, mid-shoulder, upper-body extent); in input pixels, positions "
            "relative to the anchor's centre",
        ),
        Output("scores", "per anchor: logit that it holds a person"),
    ),
)


def landmarks(size: str, source: str, source_path: str, is_stored: bool = True) -> Model:
    """A landmark model: they differ in size alone."""
    return Model(
        name=f"pose_landmark_{size}",
        source=source,
        source_path=source_path,
        is_stored=is_stored,
        input_range=(0.0, 1.0),
        input_meaning="RGB, planar; the person's region, rotated upright and cropped to a square",
        outputs=(
            Output(
                "landmarks",
                "39 landmarks of x, y, z, visibility logit, presence logit; x, y, z in input "
                "pixels, z relative to the hips; 33 of the body, two (33, 34) that place the next "
                "region, four unused",
            ),
            Output("flag", "probability that the region holds a person"),
            None,  # The segmentation mask: nothing reads it.
            Output("heatmap", "per landmark a 64x64 map of logits that refines its x, y"),
            Output("world", "the same 39 landmarks, x, y, z in metres, origin between the hips"),
        ),
    )


MODELS = (
    DETECTOR,
    landmarks("full", "wheel", "mediapipe/modules/pose_landmark/pose_landmark_full.tflite"),
    landmarks("lite", "npm", "package/pose_landmark_lite.tflite"),
    landmarks("heavy", "npm", "package/pose_landmark_heavy.tflite", is_stored=False),
)
