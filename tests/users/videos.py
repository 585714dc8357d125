"""The videos that users upload: the sample of the demonstration, and larger ones made from it once.

A larger one is ten seconds of the sample under noise, so that the encoder needs all of its bit rate.
"""

import subprocess

from scenarios import SAMPLE

SECONDS = 10
FRAMES_PER_SECOND = 30
# Megabytes (10^6 bytes), width and height.
SIZES = {"5 MB": (5, 1280, 720), "10 MB": (10, 1920, 1080), "20 MB": (20, 1920, 1080)}
# Of the wanted size; the container and the rate control add a little.
TOLERANCE = 0.1


def make(name, sample, folder):
    """The path of a video, which is made if it is not in the folder."""
    if name == SAMPLE:
        return sample
    megabytes, width, height = SIZES[name]
    path = folder / f"{megabytes}mb.mp4"
    if not path.exists():
        print(f"load: making a video of {name}", flush=True)
        partial = path.with_suffix(".partial")
        encode(sample, partial, (width, height), megabytes)
        partial.rename(path)
    bytes_wanted = megabytes * 1_000_000
    if abs(path.stat().st_size - bytes_wanted) > TOLERANCE * bytes_wanted:
        raise SystemExit(f"load: {path} has {path.stat().st_size} bytes instead of about {bytes_wanted}")
    return path


def encode(sample, path, size, megabytes):
    picture = (
        f"video/x-raw,format=I420,width={size[0]},height={size[1]}"
        f",framerate={FRAMES_PER_SECOND}/1,pixel-aspect-ratio=1/1"
    )
    kilobits_per_second = megabytes * 8000 // SECONDS
    source = f"filesrc location={sample} ! decodebin ! joined. "
    subprocess.run(
        [
            "gst-launch-1.0",
            "-q",
            *f"concat name=joined ! videoconvert ! videoscale ! {picture} ! mix.sink_0 {source} {source}"
            f" videotestsrc pattern=snow num-buffers={SECONDS * FRAMES_PER_SECOND} ! {picture} ! mix.sink_1"
            f" compositor name=mix sink_1::alpha=0.15 ! videoconvert ! video/x-raw,format=I420"
            f" ! x264enc bitrate={kilobits_per_second} speed-preset=ultrafast key-int-max=60"
            f" ! h264parse ! mp4mux ! filesink location={path}".split(),
        ],
        check=True,
    )
