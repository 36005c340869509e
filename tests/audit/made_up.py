"""Facts of cases that lie on no disk."""

from __future__ import annotations

from typing import Any

import numpy as np
from medseg.audit import Audit, Finding
from medseg.audit.facts import CaseFacts, ChannelFacts, LabelFacts
from medseg.geometry import Geometry
from medseg.records import Case

from tests.grids import grid
from tests.manifest.datasets import manifest_of


def case_of(case_id: str, **keys: Any) -> Case:
    return Case(**{"case_id": case_id, "patient_id": f"p_{case_id}", "images": (f"{case_id}.nii.gz",), **keys})


def channel_of(low: float, high: float) -> ChannelFacts:
    """A channel whose intensities are spread evenly from low to high."""
    at = [low + share * (high - low) for share in (0, 0.01, 0.25, 0.5, 0.75, 0.99, 0.999, 1)]
    return ChannelFacts(*at)


def label_of(ml: float, *, x_mm: float = 0.0) -> LabelFacts:
    return LabelFacts(int(1000 * ml), ml, (x_mm, 0.0, 0.0), 0, 0, 0.0)


def facts_of(case_id: str, *, geometry: Geometry | None = None, modality: str | None = None, **keys: Any) -> CaseFacts:
    facts: dict[str, Any] = {"geometry": geometry or grid((20, 20, 20)), "channels": (channel_of(0, 100),), **keys}
    return CaseFacts(case_of(case_id, modality=modality), facts.pop("files", ()), **facts)


def cohort_of(count: int, **keys: Any) -> list[CaseFacts]:
    return [facts_of(f"c{number}", **keys) for number in range(count)]


def made_up_audit(*found: Finding, count: int = 3) -> Audit:
    cases = cohort_of(count, labels={"liver": label_of(9.0)})
    manifest = manifest_of([facts.case for facts in cases])
    return Audit(manifest, found, tuple(cases), tuple(facts.case_id for facts in cases))


def blob(seed: int, shape: tuple[int, int, int] = (40, 36, 30)) -> np.ndarray:
    """A smooth random volume, like no other of another seed."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).normal(size=shape)
    return np.asarray(1000 * gaussian_filter(noise, [2 if n > 1 else 0 for n in shape]), dtype=np.float32)
