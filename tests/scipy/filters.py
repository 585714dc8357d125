"""Writes the series of worker/src/motion/scipy_tests.rs: what SciPy's filters make of some signals.

    python filters.py > filters.csv

One line for each case: filter, parameter, rate or times, then the values before and after.
"""

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.signal import butter, filtfilt, savgol_filter

random = np.random.default_rng(20)


def signal(count):
    times = np.arange(count) / 30
    return np.sin(5 * times) + 0.3 * np.sin(40 * times + 1) + random.normal(0, 0.1, count)


def write(name, *columns):
    numbers = (" ".join(f"{value:.17g}" for value in np.atleast_1d(column)) for column in columns)
    print(name, *numbers, sep=",")


print("filter,parameters,before,after")
for cutoff, rate, count in [
    (6, 30, 200), (6, 25, 60), (6, 59.94, 90), (6, 240, 300), (3, 30, 80), (6, 30, 17), (6, 30, 16), (6, 12.5, 40),
]:
    before = signal(count)
    write("butterworth", [cutoff, rate], before, filtfilt(*butter(4, cutoff, fs=rate), before))
for count in [2, 5, 15]:
    before = signal(count)
    after = filtfilt(*butter(4, 6, fs=30), before, padlen=count - 1)
    write("butterworth", [6, 30], before, after)
for window, order, count in [(7, 2, 60), (9, 3, 60), (11, 4, 40), (5, 0, 12), (9, 3, 9), (31, 3, 64)]:
    before = signal(count)
    write("savitzky_golay", [window, order], before, savgol_filter(before, window, order))
for _ in range(4):
    known = np.sort(random.choice(60, 24, replace=False))
    values = np.full(60, np.nan)
    values[known] = signal(60)[known]
    after = PchipInterpolator(known, values[known], extrapolate=False)(np.arange(60))
    write("gaps", [60], values, after)
