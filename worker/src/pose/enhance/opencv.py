"""Writes opencv.txt: a small picture and what OpenCV makes of it, for the test of `enhance`.

    pip install opencv-python-headless numpy
    python opencv.py > opencv.txt

Each line is a name and the bytes of a picture of 16 x 16 pixels in hexadecimal: red, green, blue.
"""

import cv2
import numpy

SIDE = 16
SCALE = 8


def clahe(picture):
    # Enlarged, so that tiles have enough pixels for a histogram.
    picture = picture.repeat(SCALE, 0).repeat(SCALE, 1)
    lightness, a, b = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB))
    lightness = cv2.createCLAHE(clipLimit=3.0, tileGridSize=(8, 8)).apply(lightness)
    picture = cv2.cvtColor(cv2.merge([lightness, a, b]), cv2.COLOR_LAB2RGB)
    return picture[::SCALE, ::SCALE]


def lower(picture):
    half = picture.shape[0] // 2
    return numpy.vstack([picture[:half], cv2.convertScaleAbs(picture[half:], alpha=2.0, beta=40)])


def equalized(picture):
    luma = cv2.cvtColor(picture, cv2.COLOR_RGB2YUV)
    luma[:, :, 0] = cv2.equalizeHist(luma[:, :, 0])
    return cv2.cvtColor(luma, cv2.COLOR_YUV2RGB)


SHARPEN = numpy.array([[-1, -1, -1], [-1, 9, -1], [-1, -1, -1]])
ENHANCEMENTS = {
    "original": lambda it: it,
    "clahe": clahe,
    "mirrored": lambda it: cv2.flip(it, 1),
    "bright": lambda it: cv2.convertScaleAbs(it, alpha=1.5, beta=30),
    "gaussian": lambda it: cv2.GaussianBlur(it, (5, 5), 0),
    "lower_enhanced": lower,
    "very_bright": lambda it: cv2.convertScaleAbs(it, alpha=2.0, beta=50),
    "sharpened": lambda it: cv2.filter2D(it, -1, SHARPEN),
    "hist_eq": equalized,
    "bilateral": lambda it: cv2.bilateralFilter(it, 9, 75, 75),
}

# Slopes in each channel, a bright square with hard edges, and noise.
random = numpy.random.default_rng(1)
y, x = numpy.mgrid[0:SIDE, 0:SIDE]
picture = numpy.stack([40 + 9 * x, 20 + 5 * x + 6 * y, 160 - 8 * y], axis=2)
picture[4:9, 5:12] += 90
picture += random.integers(-12, 13, picture.shape)
picture = picture.clip(0, 255).astype(numpy.uint8)

for name, enhance in ENHANCEMENTS.items():
    print(name, enhance(picture).tobytes().hex())
