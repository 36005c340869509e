"""How many patients an evaluation needs for an interval of a wanted width."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from medseg.evaluation.resampling import FEWEST_PATIENTS


def needed_patients(values: Sequence[float], owners: Sequence[str], *, half_width: float) -> int | None:
    """Patients for which the 95 % interval of a mean reaches no farther than `half_width` to each side.

    Args:
        values: Values of the cases at hand, without NaN.
        owners: Patient of each.
        half_width: Wanted reach of the interval, in the values' unit.

    Returns:
        Count, at least five; None with fewer than five patients at hand, whose spread says little.

    Raises:
        ValueError: If `half_width` is not above 0.
    """
    from scipy.stats import t

    if not half_width > 0:
        raise ValueError(f"half_width must be above 0, got {half_width}")
    groups = defaultdict(list)
    for owner, value in zip(owners, values, strict=True):
        groups[owner].append(value)
    if len(groups) < FEWEST_PATIENTS:
        return None
    spread = float(np.std([np.mean(group) for group in groups.values()], ddof=1))
    count = FEWEST_PATIENTS
    while float(t.ppf(0.975, count - 1)) * spread / math.sqrt(count) > half_width:
        count = max(count + 1, math.ceil(count * 1.01))
    return count
