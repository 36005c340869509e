"""PET reaches the network with the same values through ingest and straight from DICOM, as SUV or as it is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.inference import CaseInput, find_inputs, read_input
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from tests.inference.inputs.studies import find
from tests.ingest.sources import Ingested, run_ingest, voxels, write_nifti
from tests.ingest.test_channels import PET, ct_within, plane, write_plane
from tests.scans.dicom.test_suv import PET as HEADER
from tests.scans.dicom.test_suv import TRACER, left

SUV = left(3600)  # an hour after the injection
PAIR = "channels: [{{name: CT, modality: CT}}, {{name: {name}, modality: PT}}]"


def write_pet(folder: Path, **values: Any) -> None:
    """A PET series in Bq/ml with everything that SUV needs; `None` removes a value."""
    tracer = Dataset()
    for keyword, value in TRACER.items():
        setattr(tracer, keyword, value)
    header = {**HEADER, "RadiopharmaceuticalInformationSequence": [tracer], **values}
    write_plane(folder, **{keyword: value for keyword, value in header.items() if value is not None})


def write_pair(folder: Path, **values: Any) -> None:
    """A CT and a PET of one study, on grids of their own."""
    study = {"PatientID": "A", "StudyInstanceUID": generate_uid(), "FrameOfReferenceUID": generate_uid()}
    ct_within(folder / "ct", **study)
    write_pet(folder / "pet", **study, **values)


def of_dataset(done: Ingested) -> CaseInput:
    (case,) = find_inputs([done.folder], channels=done.manifest.channels).cases
    return case


@pytest.mark.parametrize(("suv", "channel", "factor"), [(True, "SUV", SUV), (False, "PT", 1.0)])
def test_pet_alone_is_what_ingest_makes_of_it(tmp_path: Path, suv: bool, channel: str, factor: float) -> None:
    write_pet(tmp_path / "in")
    done = run_ingest(tmp_path / "in", tmp_path / "out", suv=suv)
    assert done.manifest.channels == (channel,)
    (direct,) = find(tmp_path / "in", channels=(channel,)).cases
    one, other = (read_input(case, channels=(channel,)) for case in (direct, of_dataset(done)))
    np.testing.assert_array_equal(one.array, other.array)
    np.testing.assert_allclose(one.array[0], plane(PET).reshape(PET.shape) * factor, atol=0.01 * factor, rtol=1e-5)


def test_pet_beside_other_scans_is_what_ingest_makes_of_it(tmp_path: Path) -> None:
    write_pet(tmp_path / "in" / "pet")
    write_nifti(tmp_path / "in" / "a.nii.gz", voxels(seed=1))
    done = run_ingest(tmp_path / "in", tmp_path / "out", suv=True)
    assert done.manifest.channels == ("image SUV",)
    (direct,) = find(tmp_path / "in" / "pet", channels=done.manifest.channels).cases
    made = [done.image(case) for case in done.manifest.cases if case.modality == "PT"]
    np.testing.assert_array_equal([read_input(direct, channels=done.manifest.channels).array], made)


@pytest.mark.parametrize(
    ("name", "suv", "channel", "factor"),
    [("PET", False, "PET", 1.0), ("PET", True, "PET SUV", SUV), ("SUV", False, "SUV", SUV), ("SUV", True, "SUV", SUV)],
)
def test_pet_beside_ct_is_what_ingest_makes_of_it(
    tmp_path: Path, name: str, suv: bool, channel: str, factor: float
) -> None:
    write_pair(tmp_path / "in")
    done = run_ingest(tmp_path / "in", tmp_path / "out", mapping=PAIR.format(name=name), suv=suv)
    assert done.report.is_clean
    assert done.manifest.channels == ("CT", channel)
    (direct,) = find(tmp_path / "in", channels=("CT", channel)).cases
    one, other = (read_input(case, channels=("CT", channel)) for case in (direct, of_dataset(done)))
    np.testing.assert_array_equal(one.array, other.array)
    stored = run_ingest(tmp_path / "in", tmp_path / "stored", mapping=PAIR.format(name="PET"))
    np.testing.assert_allclose(one.array[1], stored.image()[1] * factor, rtol=1e-5)
    np.testing.assert_array_equal(one.array[0], stored.image()[0])


def test_file_is_taken_as_it_is_whatever_its_channel_is_called(tmp_path: Path) -> None:
    write_pet(tmp_path / "in")
    done = run_ingest(tmp_path / "in", tmp_path / "out", suv=True)
    (file,) = find_inputs([done.folder / "images"], channels=("SUV",)).cases
    np.testing.assert_array_equal(read_input(file, channels=("SUV",)).array, done.image())


def test_renamed_channel_is_read_again_as_what_its_name_says(tmp_path: Path) -> None:
    write_pair(tmp_path / "in")
    before = run_ingest(tmp_path / "in", tmp_path / "out", mapping=PAIR.format(name="PET")).image()
    after = run_ingest(tmp_path / "in", tmp_path / "out", mapping=PAIR.format(name="PET_SUV"))
    np.testing.assert_allclose(after.image()[1], before[1] * SUV, rtol=1e-5)


@pytest.mark.parametrize("missing", ["Units", "PatientWeight"])
def test_pet_that_cannot_become_suv_fails_its_case_with_a_way_out(tmp_path: Path, missing: str) -> None:
    write_pet(tmp_path / "in", **{missing: None})
    (case,) = find(tmp_path / "in", channels=("SUV",)).cases
    with pytest.raises(ScanError, match=r"channel SUV is SUV by body weight: .*; predict a NIfTI file that holds SUV"):
        read_input(case, channels=("SUV",))
    assert read_input(case, channels=("PET",)).array.max() > 0
