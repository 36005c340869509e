"""An origin tells a writer what it needs, and a log nothing of the patient."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from medseg.geometry import Geometry
from medseg.origin import ItkOrigin, NiftiOrigin, Origin, PictureOrigin, SeriesOrigin, SourceSlice
from medseg.records import Scan

FILE = Path("/ward 7/Mustermann_Erika.nii.gz")
SLICES = tuple(SourceSlice(FILE.with_name(name), "1.2.840.99", f"1.2.3.{name}", 1) for name in "bab")


def header() -> nibabel.Nifti1Header:
    made = nibabel.Nifti1Header()
    made["descrip"] = b"Mustermann^Erika"
    return made


ORIGINS: tuple[Origin, ...] = (
    NiftiOrigin(FILE, header()),
    ItkOrigin(FILE),
    PictureOrigin(FILE),
    SeriesOrigin("1.2.3.study", "1.2.3.series", "1.2.3.frame", "CT", SLICES),
)


@pytest.mark.parametrize("origin", ORIGINS, ids=lambda one: type(one).__name__)
def test_origin_shows_no_file_name_no_uid_and_no_header(origin: Origin) -> None:
    scan = Scan(np.zeros((1, 2, 2, 2)), Geometry((2, 2, 2), np.eye(4)), origin)
    for shown in (repr(origin), str(origin), f"{origin!r:>3}", repr(scan), str(scan)):
        assert type(origin).__name__ in shown
        for secret in ("Mustermann", "Erika", "ward", "1.2.", ".nii"):
            assert secret not in shown


def test_slice_of_a_series_shows_its_frame_alone() -> None:
    assert repr(SLICES[0]) == "SourceSlice(frame_number=1)"
    assert repr(ORIGINS[3]) == "SeriesOrigin(modality='CT', is_resampled=False)"


@pytest.mark.parametrize("origin", ORIGINS, ids=lambda one: type(one).__name__)
def test_origin_reaches_another_process_as_it_is(origin: Origin) -> None:
    for there in (copy.deepcopy(origin), pickle.loads(pickle.dumps(origin))):  # noqa: S301 - bytes of our own
        assert there == origin
        assert hash(there) == hash(origin)


@pytest.mark.parametrize("origin", ORIGINS, ids=lambda one: type(one).__name__)
def test_origin_cannot_be_changed(origin: Origin) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(origin, next(iter(type(origin).__dataclass_fields__)), None)


def test_origins_of_other_headers_differ() -> None:
    other = header()
    other["sform_code"] = 4
    assert NiftiOrigin(FILE, header()) == NiftiOrigin(FILE, header())
    assert NiftiOrigin(FILE, header()) != NiftiOrigin(FILE, other)


def test_files_of_a_series_are_named_once_in_the_order_of_its_slices() -> None:
    origin = ORIGINS[3]
    assert isinstance(origin, SeriesOrigin)
    assert [file.name for file in origin.files] == ["b", "a"]


def test_made_up_scan_has_no_origin_and_keeps_one_that_it_is_given() -> None:
    scan = Scan(np.zeros((1, 2, 2, 2)), Geometry((2, 2, 2), np.eye(4)))
    assert scan.origin is None
    for origin in ORIGINS:
        assert replace(replace(scan, origin=origin), array=scan.array + 1).origin is origin
