from __future__ import annotations

import numpy as np
import pytest
from medseg.targets import Quantities, Quantity
from pydantic import ValidationError

UNITS = {"dose": Quantity(unit="Gy", prescription=60), "CT": Quantity(unit="HU")}
TARGET = Quantities(quantities=UNITS, offset={"CT": 40.0}, scale={"dose": 60.0, "CT": 300.0})


def values() -> np.ndarray:
    drawn = np.random.default_rng(0).uniform(-1000, 3000, (2, 4, 3, 2)).astype(np.float32)
    drawn[0, 1, 2, 0] = np.nan
    return drawn


def test_each_channel_is_a_quantity_that_the_network_learns_near_one() -> None:
    assert (TARGET.channels, TARGET.names, TARGET.units) == (2, ("dose", "CT"), {"dose": "Gy", "CT": "HU"})
    encoded = TARGET.encode(np.array([60.0, 340.0], np.float32).reshape(2, 1, 1, 1))
    assert encoded.flatten().tolist() == [1.0, 1.0]


def test_what_is_encoded_comes_back_to_a_millionth() -> None:
    back = TARGET.decide(TARGET.activate(TARGET.encode(values())))
    assert back.dtype == np.float32
    # Values far below the offset lose digits to it: a millionth of the offset is what remains of them.
    np.testing.assert_allclose(back, values(), rtol=1e-6, atol=1e-6 * 40)


def test_activation_follows_the_axis_of_the_channels() -> None:
    encoded = TARGET.encode(values())
    batch = TARGET.activate(encoded[np.newaxis], dim=1)
    np.testing.assert_array_equal(batch[0].numpy(), TARGET.activate(encoded).numpy())


def test_a_voxel_is_ignored_where_no_quantity_is_known() -> None:
    assert TARGET.ignored(np.zeros((2, 2, 2, 2), np.float32)) is None
    assert TARGET.ignored(values()) is None
    both = values()
    both[1, 1, 2, 0] = np.nan
    ignored = TARGET.ignored(both)
    assert ignored is not None
    assert np.argwhere(ignored).tolist() == [[1, 2, 0]]


def test_a_blank_array_is_not_known_anywhere() -> None:
    blank = TARGET.blank((2, 3, 4))
    assert blank.shape == (2, 2, 3, 4)
    assert np.isnan(blank).all()


@pytest.mark.parametrize("wrong", [{"scale": {"dose": 0}}, {"scale": {"PET": 1}}, {"offset": {"dose": float("nan")}}])
def test_scales_that_cannot_be_are_refused(wrong: dict[str, dict[str, float]]) -> None:
    with pytest.raises(ValidationError):
        Quantities(quantities=UNITS, **wrong)


def test_a_target_survives_its_file() -> None:
    assert Quantities.model_validate_json(TARGET.model_dump_json()) == TARGET
