"""Whether a network, or several of them among each other, doubt a mask."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from medseg.inference.segmentation.quality.calibration import LEAST_DICE, ConfidenceCalibration
from medseg.inference.segmentation.quality.observation import Observation


def expected_dice(soft_dice: Mapping[str, float], calibration: Mapping[str, ConfidenceCalibration]) -> dict[str, float]:
    """Dice to expect of each drawn structure whose confidence was calibrated, by name."""
    return {
        name: round(calibration[name].expected_dice(value), 4)
        for name, value in soft_dice.items()
        if name in calibration
    }


def check_confidence(
    soft_dice: Mapping[str, float], calibration: Mapping[str, ConfidenceCalibration]
) -> Iterator[Observation]:
    """Dice to expect against that of the validation's masks; without a calibration the soft Dice as it is."""
    expected = expected_dice(soft_dice, calibration)
    for name, soft in soft_dice.items():
        if name not in calibration:
            reason = (
                f"{name}: the network's probabilities promise a Dice of {soft:.2f} only, and networks mostly promise "
                "too much"
            )
            yield Observation("confidence", name, soft, (1 - soft) / (1 - LEAST_DICE), reason)
            continue
        fitted, dice = calibration[name], expected[name]
        reason = (
            f"{name}: the Dice to expect is {dice:.2f}; masks of the {fitted.cases} validation cases have "
            f"{fitted.p5:.2f} to {fitted.p95:.2f}, and below {fitted.limit:.2f} they are flagged"
        )
        yield Observation("confidence", name, dice, (1 - dice) / (1 - fitted.limit), reason)


def check_disagreement(
    disagreement: Mapping[str, float] | None, calibration: Mapping[str, ConfidenceCalibration]
) -> Iterator[Observation]:
    """Dice of the models' masks among each other, which should be no lower than what one of them is expected to have.

    Source: Roy et al. 2019, https://doi.org/10.1016/j.neuroimage.2019.03.042, section 3.3.
    """
    for name, value in (disagreement or {}).items():
        if math.isnan(value):
            continue
        least = calibration[name].limit if name in calibration else LEAST_DICE
        found = f"{name}: the models' masks have a Dice of {1 - value:.2f} among each other"
        reason = f"{found}, and below {least:.2f} they are flagged"
        yield Observation("disagreement", name, value, value / (1 - least), reason)
