from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from medseg.errors import ManifestError
from medseg.manifest.modalities import REMEDY

from tests.ingest.sources import block, run_ingest, voxels, write_ct, write_nifti, write_rtstruct

BOX = (2, 5, 2, 5, 1, 3)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two patients with CT, MR and PET in one frame of reference each, and a contour on each."""
    for patient in ("a", "b"):
        frame, study = f"2.25.{ord(patient)}", f"2.25.{ord(patient)}7"
        for seed, modality in enumerate(("CT", "MR", "PT")):
            folder = tmp_path / "src" / patient / modality
            own = {"PatientID": patient, "FrameOfReferenceUID": frame, "StudyInstanceUID": study, "Modality": modality}
            images = write_ct(folder, seed=seed + 3 * (patient == "b"), **own)
            write_rtstruct({f"GTV {modality}": BOX}, images, folder / "rs", PatientID=patient)
    return tmp_path / "src"


def test_modalities_in_one_channel_warn_with_remedies(source: Path, tmp_path: Path) -> None:
    done = run_ingest(source, tmp_path / "out")
    (warning,) = done.report.warnings
    assert warning.message == (
        "images of channel image must be of one modality, got CT in 2 case(s), MR in 2 case(s), PT in 2 case(s); "
        + REMEDY
    )
    assert done.document["warnings"] == [{"warning": "modalities", "message": warning.message}]


@pytest.mark.parametrize("asked", ["CT", "ct", "MR", "mri", "PET"])
def test_one_modality_is_taken_with_its_own_labels(source: Path, tmp_path: Path, asked: str) -> None:
    done = run_ingest(source, tmp_path / "out", modality=asked)
    wanted = {"MRI": "MR", "PET": "PT"}.get(asked.upper(), asked.upper())
    assert {case.modality for case in done.manifest.cases} == {wanted}
    assert set(done.report.structures) == {f"GTV {wanted}"}
    assert all(case.label for case in done.manifest.cases)
    assert done.report.warnings == ()
    assert done.report.is_clean
    assert sum(done.report.aside.values()) == 8  # four images and their labels


def test_line_channels_of_a_mapping_is_the_other_remedy(source: Path, tmp_path: Path) -> None:
    lines = (
        "labels: {gtv: {value: 1, names: ['GTV*']}}\nchannels: [{name: CT, modality: CT}, {name: PET, modality: PT}]"
    )
    done = run_ingest(source, tmp_path / "out", mapping=lines)
    assert [case.modality for case in done.manifest.cases] == ["CT+PT", "CT+PT"]
    assert done.manifest.channels == ("CT", "PET")
    assert done.report.warnings == ()


def test_modality_that_no_image_has_is_an_error_that_names_those_there_are(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="must hold an image of the modality US, got CT, MR, PT; give one of these"):
        run_ingest(source, tmp_path / "out", modality="US")


def test_names_of_files_give_their_modality(tmp_path: Path) -> None:
    for patient in ("a", "b"):
        for seed, name in enumerate(("CT_image", "MR_T1_image", "PET_image")):
            write_nifti(tmp_path / "src" / patient / f"{name}.nii.gz", voxels(seed=seed + 3 * ord(patient)))
            mask = tmp_path / "src" / patient / f"{name.replace('image', 'mask')}.nii.gz"
            write_nifti(mask, block(slice(1, 4)).astype(np.uint8))
    every = run_ingest(tmp_path / "src", tmp_path / "all")
    assert [one.warning for one in every.report.warnings] == ["modalities"]
    done = run_ingest(tmp_path / "src", tmp_path / "out", modality="CT")
    assert {case.modality for case in done.manifest.cases} == {"CT"}
    assert len(done.manifest.cases) == 2
