from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from medseg.ingest.name_tokens import masks_and_images
from medseg.ingest.patient_name import patient_names

ROOT = Path("/export/masks and labels")  # whose name must tell nothing


def patients(*names: str) -> list[str]:
    paths = [ROOT / name for name in names]
    found = patient_names(paths, ROOT)
    return [found[path].patient for path in paths]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["P1/ct.nii.gz", "P1/pet.nii.gz", "P2/ct.nii.gz"], ["P1", "P1", "P2"]),
        (["P1/visit1/ct.nii.gz", "P1/visit 2/ct.nii.gz", "P2/visit1/ct.nii.gz"], ["P1", "P1", "P2"]),
        (["P1/2024-01-05/ct.nii", "P1/20250105/ct.nii"], ["P1", "P1"]),
        (["P1/CT/a.nii.gz", "P1/MR/b.nii.gz"], ["P1", "P1"]),
        (["site/P1/a.nii.gz", "site/P2/a.nii.gz"], ["site/P1", "site/P2"]),
        (["sub-01/ses-1/anat/x.nii.gz", "sub-01/pet/x.nii.gz", "sub-02/anat/x.nii.gz"], ["sub-01", "sub-01", "sub-02"]),
        (["imagesTr/case_001_0000.nii.gz", "imagesTr/case_001_0001.nii.gz", "imagesTs/case_002_0000.nii.gz"],
         ["case_001", "case_001", "case_002"]),
        (["images/P1_ct.nii.gz", "images/P1_pet.nii.gz", "images/P2_ct.nii.gz"], ["P1", "P1", "P2"]),
        (["P1/images/ct.nii.gz", "P1/images/pet.nii.gz", "P2/images/ct.nii.gz"], ["P1", "P1", "P2"]),
        (["P1/images/early.nii.gz", "P1/images/late.nii.gz", "P2/images/early.nii.gz"], ["P1", "P1", "P2"]),
        (["set/imagesTr/a.nii.gz", "set/imagesTr/b.nii.gz"], ["a", "b"]),
        (["images_ct/a.nii.gz", "images/a.nii.gz"], ["images_ct", "a"]),
        (["a_ct.nii.gz", "a_image.nii.gz", "ct.nii.gz"], ["a", "a", "ct"]),
        (["BraTS_01/BraTS_01_t1ce.nii.gz", "BraTS_01/BraTS_01_flair.nii.gz"], ["BraTS_01", "BraTS_01"]),
    ],
)  # fmt: skip
def test_files_of_a_patient_are_one_patient(files: Sequence[str], expected: Sequence[str]) -> None:
    assert patients(*files) == list(expected)


def test_folder_of_many_files_holds_many_patients() -> None:
    assert len(set(patients(*(f"cohort/{number}.nii.gz" for number in range(13))))) == 13
    assert len(set(patients(*(f"cohort/{number}.nii.gz" for number in range(12))))) == 1


@pytest.mark.parametrize(
    ("files", "masks"),
    [
        (["P1/ct.nii.gz", "P1/ct_mask.nii.gz"], [1]),
        (["P1/image.nii.gz", "P1/Segmentation.nrrd"], [1]),
        (["labels/P1.nii.gz", "images/P1.nii.gz"], [0]),
        (["labelsTr/P1.nii.gz", "imagesTr/P1.nii.gz"], [0]),
        (["labels/P1/liver.nii.gz", "images/P1/ct.nii.gz"], [0]),
        (["P1/segmentations/liver.nii.gz", "P1/ct.nii.gz"], [0]),
        (["annotations/P1/image.nii.gz", "annotations/P1/mask.nii.gz"], [1]),
        (["annotations/image_1.nii.gz", "annotations/mask_1.nii.gz"], [1]),
        (["liver segmentation 2024/P1.nii.gz", "liver segmentation 2024/P1_seg.nii.gz"], [1]),
        (["liver segmentation 2024/P1.nii.gz"], [0]),
        (["P1.nii.gz", "P2.nii.gz"], []),
        (["Leroi/ct.nii.gz", "segal.nii.gz", "Labelle/ct.nii.gz"], []),
    ],
)
def test_masks_are_told_from_images_by_their_names_and_folders(files: Sequence[str], masks: Sequence[int]) -> None:
    paths = [ROOT / name for name in files]
    found, images = masks_and_images(paths, ROOT)
    assert found == [paths[number] for number in masks]
    assert sorted([*found, *images]) == sorted(paths)
