"""Fingerprints of made-up datasets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from medseg.planning import CaseFingerprint, Fingerprint, Plan, make_plan
from medseg.records import Case, Manifest

FingerprintBuilder = Callable[..., Fingerprint]
ManifestBuilder = Callable[..., Manifest]


@pytest.fixture(scope="session")
def build_fingerprint() -> FingerprintBuilder:
    """A function that makes the fingerprint of cases with the given shapes and spacings."""

    def build(
        shapes: Sequence[tuple[int, int, int]],
        spacings_mm: Sequence[tuple[float, float, float]],
        *,
        foreground: Any = None,
        is_2d: bool = False,
    ) -> Fingerprint:
        values = np.linspace(-100, 300, 1001)[np.newaxis] if foreground is None else np.asarray(foreground)
        cases = tuple(CaseFingerprint(s, mm, values) for s, mm in zip(shapes, spacings_mm, strict=True))
        return Fingerprint(cases, (), is_2d)

    return build


@pytest.fixture(scope="session")
def build_manifest() -> ManifestBuilder:
    """A function that makes a manifest with the given channels and foreground labels."""

    def build(*, channels: Sequence[str] = ("CT",), labels: Sequence[str] = ("liver", "spleen")) -> Manifest:
        case = Case(case_id="a", patient_id="a", images=("a.nii.gz",), label="b.nii.gz")
        names = {"background": 0} | {name: value for value, name in enumerate(labels, start=1)}
        return Manifest(name="made up", channels=tuple(channels), labels=names, cases=(case,))

    return build


@pytest.fixture(scope="session")
def plan(build_fingerprint: FingerprintBuilder, build_manifest: ManifestBuilder) -> Plan:
    """A plan for one anisotropic CT."""
    fingerprint = build_fingerprint([(40, 50, 20)], [(0.78125, 0.78125, 3.0)])
    return make_plan(fingerprint, build_manifest(), device="cpu")
