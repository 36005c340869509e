"""Made-up studies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from medseg.delivery.classification.triage import TriageStudy, key_slices, save_triage_page
from medseg.records import Array, SliceScores

CLASSES = ("background", "tumour", "oedema")


def scores_of(
    case_id: str, probabilities: Sequence[Sequence[float]], *, study: Sequence[float] | None = None
) -> SliceScores:
    """Slices 2 mm apart from −10 mm on; the study's probability is the highest of any slice."""
    table = np.array(probabilities, dtype=float).reshape(-1, len(probabilities[0]) if len(probabilities) else 3)
    highest = table.max(axis=0, initial=0) if study is None else np.array(study, dtype=float)
    return SliceScores(case_id, case_id, 2, -10 + 2.0 * np.arange(len(table)), table, highest)


def peaks(slices: int, **at: tuple[int, float]) -> Array:
    """Zero but for `class=(slice, probability)`."""
    table = np.zeros((slices, len(CLASSES)))
    for name, (index, probability) in at.items():
        table[index, CLASSES.index(name)] = probability
    return table


def study_of(scores: SliceScores, classes: Sequence[str] = CLASSES, shape: tuple[int, int] = (20, 30)) -> TriageStudy:
    """With a ramp as picture of each key slice."""
    keys = key_slices(scores, classes=classes, background="background")
    ramp = np.linspace(-900, 900, shape[0] * shape[1]).reshape(shape)
    return TriageStudy(scores.case_id, scores, keys, (ramp,) * len(keys))


def page_of(path: Path, studies: Sequence[TriageStudy], classes: Sequence[str] = CLASSES, **options: Any) -> str:
    """The page's text."""
    settings: dict[str, Any] = {"background": "background", "direction": "A", "model": "phantoms 1, digest 3f9a"}
    save_triage_page(studies, path, classes=classes, **{**settings, "is_calibrated": True, **options})
    return path.read_text(encoding="utf-8")
