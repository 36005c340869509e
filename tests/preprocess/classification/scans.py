"""Scans with labels, written as files, and their manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from medseg.cohort import SERIAL
from medseg.geometry import Geometry
from medseg.preprocess import ChannelNormalisation
from medseg.preprocess.classification import SliceConfig, StoredSlices, prepare_slices
from medseg.records import Array, Case, Labelmap, Manifest
from medseg.scans import write_scan

LABELS = {"background": 0, "liver": 1, "spleen": 2}
NONE = ChannelNormalisation(kind="none")


def slice_config(**settings: Any) -> SliceConfig:
    """Axial pictures of 16 pixels of 1 mm, intensities as they are, some settings changed."""
    return SliceConfig(**{"pixel_mm": 1.0, "size": (16, 16), "normalisation": (NONE,)} | settings)


def write_labelled(
    root: Path,
    name: str,
    geometry: Geometry,
    *,
    image: Array | None = None,
    label: Labelmap | None = None,
    patient: str | None = None,
) -> Case:
    """Write image `(C, I, J, K)` or `(I, J, K)` and label; noise and an empty label where not given."""
    if image is None:
        image = np.random.default_rng(len(name)).normal(size=geometry.shape)
    label = np.zeros(geometry.shape, np.uint8) if label is None else label
    image = image if image.ndim == 4 else image[None]
    write_scan(image.astype(np.float32), geometry, root / f"{name}_image.nii.gz")
    write_scan(label[None].astype(np.uint8), geometry, root / f"{name}_label.nii.gz")
    files = {"images": (f"{name}_image.nii.gz",), "label": f"{name}_label.nii.gz"}
    return Case(case_id=name, patient_id=patient or name, **files)


def manifest_of(cases: Sequence[Case], **changes: Any) -> Manifest:
    """A manifest of two labels and one channel, some fields changed."""
    return Manifest(**{"name": "made up", "channels": ("MR",), "labels": LABELS, "cases": tuple(cases)} | changes)


def prepare(
    cases: Sequence[Case],
    root: Path,
    *,
    config: SliceConfig | None = None,
    with_labels: bool = True,
    manifest: Manifest | None = None,
) -> tuple[StoredSlices, ...]:
    """Cut cases into slices, all of which must succeed."""
    found, failures = prepare_slices(
        cases,
        manifest or manifest_of(cases),
        root,
        config=config or slice_config(),
        with_labels=with_labels,
        store=root / "store",
        executor=SERIAL,
    )
    assert failures == ()
    return found
