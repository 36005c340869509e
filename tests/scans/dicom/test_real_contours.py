"""RTSTRUCT of real masks on real series, which their own RTSTRUCT gives an answer to."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from medseg.scans.dicom import (
    SeriesRules,
    find_series,
    read_rtstruct_independently,
    read_rtstruct_with_medseg,
    read_series,
    write_rtstruct,
)
from medseg.scans.segment import Algorithm, CodedTerm, Segment

from tests.dicom_files import instances_in

pytestmark = pytest.mark.data

GTV = Segment(
    number=1,
    name="GTV_Mass",
    values=(1,),
    colour=(255, 90, 158),
    category=CodedTerm("49755003", "SCT", "Morphologically Abnormal Structure"),
)
ALGORITHM = Algorithm(name="reference", version="1", digest="0", notice="reference masks")


@pytest.mark.parametrize("patient", ["002", "003", "012", "015", "018", "024", "032", "035"])
@pytest.mark.parametrize("modality", ["CT", "MR_T1", "PET"])
def test_sarcoma_mask_returns_from_its_contours(real_data: Path, tmp_path: Path, patient: str, modality: str) -> None:
    sarcoma = real_data / "sts_sarcoma"
    (found,) = find_series(instances_in(sarcoma / "dicom" / f"STS_{patient}" / modality), SeriesRules())
    scan = read_series(found).scan
    image = nibabel.load(sarcoma / "nifti" / f"STS_{patient}" / f"{modality}_mask.nii.gz")
    labels = (np.asarray(image.dataobj) > 0).astype(np.uint8)
    assert labels.any()
    write_rtstruct(labels, [GTV], scan, tmp_path / "RS.dcm", algorithm=ALGORITHM)
    for reader in (read_rtstruct_with_medseg, read_rtstruct_independently):
        np.testing.assert_array_equal(reader(tmp_path / "RS.dcm", scan).mask(1), labels == 1)
