"""The dose–volume histograms of reference and prediction beside each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from medseg.evaluation.regression.contract import QuantityContract
from medseg.evaluation.regression.dvh import DoseVolumeHistogram
from medseg.quantity import Quantity
from medseg.records import Array

_DOSE_UNITS = ("gy", "cgy", "mgy")
_LEVELS = 201


@dataclass(frozen=True, slots=True, eq=False)
class ComparedDose:
    """Points and curves of a structure's dose–volume histograms.

    Attributes:
        points: Value in the reference and in the prediction by the name of the point, as `dose_points` has them.
        doses: Doses of the curves in the quantity's unit, from 0, shape `(N,)`.
        reference: Volume that gets each of them or more in the reference, in percent of the structure, shape `(N,)`.
        predicted: The same of the prediction.
    """

    points: dict[str, tuple[float, float]]
    doses: Array
    reference: Array
    predicted: Array

    @property
    def errors(self) -> dict[str, float]:
        """|predicted - reference| of each point, named `d95_error` and so on."""
        return {f"{name}_error": abs(predicted - reference) for name, (reference, predicted) in self.points.items()}


def is_dose(quantity: Quantity) -> bool:
    """Whether a quantity is a dose: prescribed, or in gray, as `Gy`, `cGy` or `Gy (RBE)`."""
    words = quantity.unit.replace("(", " ").replace("_", " ").casefold().split()
    return quantity.prescription is not None or words[:1] in [[unit] for unit in _DOSE_UNITS]


def compared_dose(
    reference: DoseVolumeHistogram,
    predicted: DoseVolumeHistogram,
    *,
    contract: QuantityContract,
    prescription: float | None,
) -> ComparedDose:
    """Measure both histograms at the points of a contract, and their curves.

    Args:
        reference: Histogram of the reference.
        predicted: Histogram of the prediction, over the same voxels.
        contract: What is measured.
        prescription: Prescribed dose, to which some of the points refer; None without one.
    """
    both = [dose_points(one, contract=contract, prescription=prescription) for one in (reference, predicted)]
    highest = max([one.maximum for one in (reference, predicted) if one.doses.size] + [prescription or 0.0])
    doses = np.linspace(0, max(highest, 1e-9) * 1.05, _LEVELS)
    points = {name: (value, both[1][name]) for name, value in both[0].items()}
    return ComparedDose(points, doses, reference.curve(doses), predicted.curve(doses))


def dose_points(
    histogram: DoseVolumeHistogram, *, contract: QuantityContract, prescription: float | None
) -> dict[str, float]:
    """Points of a histogram by name.

    `dmean`, `dmax` and `d95` are in the unit of the dose; `v20` (of 20 in that unit) and `v95_percent` (of 95 % of the
    prescription) are in percent of the structure's volume.
    """
    points = {"dmean": histogram.mean, "dmax": histogram.maximum}
    points |= {f"d{percent:g}": histogram.dose_at_volume(percent) for percent in contract.dose_at_volumes_percent}
    points |= {f"v{dose:g}": histogram.volume_at_dose(dose) for dose in contract.volume_at_doses}
    if prescription is not None:
        points |= {
            f"v{percent:g}_percent": histogram.volume_at_dose(prescription * percent / 100)
            for percent in contract.volume_at_prescription_percent
        }
    return points
