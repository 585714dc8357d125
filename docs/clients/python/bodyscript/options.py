"""The options of a job, as keyword arguments. `docs/options.md` explains them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict, Union

Format = Literal[
    "video", "csv", "json", "thumbnail", "preview", "metadata", "openpose", "trc", "parquet",
    "angles", "clean", "c3d", "mot", "coco", "ndjson", "bvh", "glb", "people", "default", "all",
]


class Options(TypedDict, total=False):
    """What a job can be told. The service uses its defaults for what is not given."""

    mode: Literal["track", "static", "ultra_fast", "fast", "smart", "quality"]
    model: Literal["lite", "full", "heavy"]
    interval: int
    fps: float
    max_people: int
    person: Union[str, int]
    filter: Literal["none", "live", "offline"]
    smoothing: Literal["on", "off"]
    low_pass: Literal["butterworth", "savitzky_golay"]
    formats: Union[Format, Sequence[Format]]
    background: Literal["video", "skeleton", "skeleton_white"]
    blur: Literal["none", "faces"]
    start: float
    end: float
    crop: Union[str, Sequence[float]]
    slow_motion: float
    height_m: float
    webhook_url: str


def as_texts(options: Mapping[str, object]) -> dict[str, str]:
    """The options as the service reads them; lists become values separated by commas.

    Names are not checked: a newer service may have more, and refuses what it does not know.
    """
    return {name: _as_text(value) for name, value in options.items() if value is not None}


def _as_text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ",".join(map(str, value))
    return str(value)
