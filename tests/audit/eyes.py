"""Made-up pictures of eyes: a round field of view on black, a bright disc, a dark spot and branching vessels."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

SIZE = (282, 292)


def eye(seed: int, *, size: tuple[int, int] = SIZE, reach: float = 0.95) -> np.ndarray:
    """One eye, shape `(I, J, 1)`, values from 0 to 255; all eyes of one size and reach share their frame.

    Args:
        seed: Seed of the eye.
        size: Columns and rows.
        reach: Diameter of the field of view as a part of the shorter side; above 1 it is cut.
    """
    rng = np.random.default_rng([seed, 5])
    radius = reach * min(size) / 2
    i, j = np.meshgrid(*(np.arange(n) - n / 2 for n in size), indexing="ij")
    u, v = i / radius, j / radius
    side = rng.choice([-1, 1])
    disc = np.array([side * rng.uniform(0.5, 0.65), rng.uniform(-0.08, 0.08)])
    picture = rng.uniform(85, 135) * (1 - rng.uniform(0.2, 0.4) * (u**2 + v**2))
    picture += 75 * gaussian_filter(rng.normal(size=size), 12) + 20 * gaussian_filter(rng.normal(size=size), 3)
    edge = np.hypot(u - disc[0], v - disc[1]) - rng.uniform(0.13, 0.17)
    picture += rng.uniform(60, 110) / (1 + np.exp(np.clip(60 * edge, -50, 50)))
    picture -= 35 * np.exp(-((np.hypot(u - disc[0] + 0.62 * side, v - disc[1]) / 0.14) ** 2))
    picture -= rng.uniform(35, 55) * _vessels(u, v, disc, side, radius, rng)
    shown = np.clip(gaussian_filter(picture, 0.7) + rng.normal(0, 2, size), 15, 255)
    black = np.clip(rng.normal(3, 1.5, size), 0, 10)
    return np.asarray(np.round(np.where(np.hypot(u, v) < 1, shown, black)), np.float32)[:, :, None]


def _vessels(
    u: np.ndarray, v: np.ndarray, disc: np.ndarray, side: int, radius: float, rng: np.random.Generator
) -> np.ndarray:
    """Vessels that leave the disc upwards and downwards, bend and branch; 1 in their middle."""
    drawn = np.zeros(u.shape)
    waiting = []
    for up in (-1, 1):
        for _ in range(3):
            start = up * np.pi / 2 + side * up * rng.uniform(-0.9, 0.6)
            waiting.append(
                (disc, start, rng.uniform(0.009, 0.02), rng.uniform(0.7, 1.7), side * up * rng.uniform(0, 1.2))
            )
    while waiting:
        point, angle, width, length, bend = waiting.pop()
        for _ in range(int(length / 0.01)):
            angle += 0.01 * bend + rng.normal(0, 0.06)
            point = point + 0.01 * np.array([np.cos(angle), np.sin(angle)])
            if np.hypot(*point) > 1:
                break
            _dab(drawn, u, v, point, max(width, 0.8 / radius))
            if width > 0.005 and rng.random() < 0.02:
                turn = rng.choice([-1, 1]) * rng.uniform(0.4, 0.9)
                waiting.append((point, angle + turn, 0.7 * width, 0.6 * length, rng.uniform(-1, 1)))
    return drawn


def _dab(drawn: np.ndarray, u: np.ndarray, v: np.ndarray, point: np.ndarray, width: float) -> None:
    near = tuple(
        slice(*np.searchsorted(axis, [at - 3 * width, at + 3 * width]))
        for axis, at in zip((u[:, 0], v[0]), point, strict=True)
    )
    distance = np.hypot(u[near] - point[0], v[near] - point[1])
    drawn[near] = np.maximum(drawn[near], np.exp(-((distance / width) ** 2)))
