from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.delivery.split import save_balance_picture
from medseg.delivery.split.balance_picture import MOST_GROUPS, colour_of
from medseg.split import Balance, BalanceRow
from PIL import Image


def balance_of(labels: int, folds: int) -> Balance:
    columns = ("all", *(f"fold {n}" for n in range(folds)), "test")
    percent = tuple(float(n) for n in range(len(columns)))
    quartiles = tuple((float(n + 1), float(n + 2), float(n + 300)) for n in range(len(columns)))
    counts = tuple(range(1, len(columns) + 1))
    rows = [BalanceRow("label", f"label {n} {'x' * 30}", counts, percent, 1.0, "test") for n in range(labels)]
    rows += [BalanceRow("volume", f"l{n}", counts, (), 1.0, "test", percent, quartiles) for n in range(labels)]
    return Balance(columns, counts, counts, tuple(rows))


@pytest.mark.parametrize(("labels", "folds"), [(0, 2), (1, 5), (3 * MOST_GROUPS, 12)])
def test_picture_is_drawn_for_few_and_many_labels_and_folds(tmp_path: Path, labels: int, folds: int) -> None:
    save_balance_picture(balance_of(labels, folds), tmp_path / "split.png", title="made up")
    with Image.open(tmp_path / "split.png") as picture:
        assert picture.format == "PNG"
        assert picture.width == 1430
        assert np.asarray(picture.convert("L")).std() > 10


def test_eleven_parts_of_a_split_have_colours_of_their_own() -> None:
    names = [*(f"fold {number}" for number in range(10)), "test"]
    assert len({colour_of(name) for name in names}) == 11
