"""The colour that a DICOM object recommends for a structure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65
_TO_LINEAR = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)
_BEND = 6 / 29


def rgb_of_cielab(stored: Sequence[int]) -> tuple[int, int, int]:
    """Red, green and blue from 0 to 255 of a Recommended Display CIELab Value.

    Args:
        stored: The three numbers of 16 bits: L* from 0 to 100, a* and b* from -128 to 127.

    Source: PS3.3 C.10.7.1.1; CIE 15, and IEC 61966-2-1 for sRGB.
    """
    lightness, a, b = (float(part) / 65535 for part in stored)
    middle = (100 * lightness + 16) / 116
    steps = np.array([middle + (255 * a - 128) / 500, middle, middle - (255 * b - 128) / 200])
    xyz = _WHITE * np.where(steps > _BEND, steps**3, 3 * _BEND**2 * (steps - 4 / 29))
    linear = np.clip(_TO_LINEAR @ xyz, 0, 1)
    red, green, blue = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return round(255 * float(red)), round(255 * float(green)), round(255 * float(blue))
