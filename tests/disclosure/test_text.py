from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.disclosure import shows_text
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter

from tests.audit.eyes import eye

SIZE = (300, 400)


def lettered(picture: np.ndarray, text: str, *, points: int, fill: int) -> np.ndarray:
    drawn = Image.fromarray(picture)
    ImageDraw.Draw(drawn).text((70, 90), text, fill=fill, font=ImageFont.load_default(points))
    return np.asarray(drawn)


def shown(picture: np.ndarray) -> bool:
    """Whether a picture of rows and columns shows text."""
    return shows_text(picture.T[np.newaxis, :, :, np.newaxis].astype(np.float32))


def grounds() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "black": np.zeros(SIZE, np.uint8),
        "white": np.full(SIZE, 250, np.uint8),
        "noise": np.clip(rng.normal(110, 12, SIZE), 0, 255).astype(np.uint8),
        "speckle": np.clip(gaussian_filter(rng.gamma(1, 60, SIZE), 1), 0, 255).astype(np.uint8),
        "eye": eye(3, size=(400, 390))[:, :, 0].T.astype(np.uint8),
    }


@pytest.mark.parametrize("text", ["Mueller Hans-Peter", "PID 778899", "Klinikum Nord", "MAX MUSTERMANN"])
@pytest.mark.parametrize("ground", ["black", "noise", "eye", "speckle"])
@pytest.mark.parametrize("points", [16, 22, 32])
def test_bright_letters_are_text(text: str, ground: str, points: int) -> None:
    assert shown(lettered(grounds()[ground], text, points=points, fill=255))


@pytest.mark.parametrize("points", [11, 16, 32])
def test_dark_letters_on_white_are_text(points: int) -> None:
    assert shown(lettered(grounds()["white"], "Mueller 12.11.1950", points=points, fill=0))


@pytest.mark.parametrize("ground", ["black", "white", "noise", "speckle", "eye"])
def test_pictures_without_letters_are_no_text(ground: str) -> None:
    assert not shown(grounds()[ground])


def test_vessels_of_many_eyes_are_no_text() -> None:
    assert not any(shown(eye(seed)[:, :, 0].T) for seed in range(12))


@pytest.mark.parametrize(
    "what", ["ruler", "crosses", "grid", "needle", "edges", "grey bar", "dashes", "rings", "one letter"]
)
def test_marks_that_say_nothing_are_no_text(what: str) -> None:
    picture = Image.fromarray(np.full(SIZE, 20, np.uint8))
    draw = ImageDraw.Draw(picture)
    for k in range(20):
        at = 30 + 16 * k
        if what == "ruler":
            draw.line((at, 280, at, 280 - (14 if k % 5 == 0 else 8)), fill=240)
        elif what == "crosses":
            draw.line((at, 150, at + 12, 150), fill=240)
            draw.line((at + 6, 144, at + 6, 156), fill=240)
        elif what == "grid":
            draw.line((0, at, 400, at), fill=200)
            draw.line((at, 0, at, 300), fill=200)
        elif what == "grey bar":
            draw.rectangle((370, 40 + 10 * k, 390, 50 + 10 * k), fill=12 * k)
        elif what == "dashes":
            draw.line((at, 100, at + 10, 100), fill=240, width=2)
        elif what == "rings":
            draw.ellipse((at, 100, at + 10, 110), outline=240)
    if what == "needle":
        draw.line((30, 40, 300, 220), fill=250, width=3)
    elif what == "edges":
        draw.rectangle((50, 50, 200, 200), fill=180)
        draw.ellipse((220, 80, 360, 240), outline=230, width=4)
    elif what == "one letter":
        draw.text((20, 20), "L", fill=255, font=ImageFont.load_default(24))
    assert not shown(np.asarray(picture))


def test_picture_of_one_value_shows_nothing() -> None:
    assert not shown(np.full((30, 40), 7))


@pytest.mark.data
def test_pictures_of_nuclei_are_no_text(real_data: Path) -> None:
    for path in sorted((real_data / "nuclei_2d/images").glob("*.png")):
        assert not shown(np.asarray(Image.open(path).convert("L"))), path.name
