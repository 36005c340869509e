"""The truth about the classes of a head."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from medseg.errors import ScanError
from medseg.manifest import read_case, training_target, unannotated, without_mask
from medseg.preprocess.segmentation.head_truth import drawn_truth, head_truth, listed_truth
from medseg.records import Case
from medseg.targets import ExclusiveLabels, HeadClasses

from tests.grids import OBLIQUE
from tests.manifest.datasets import manifest_of, write_case

SLICES = HeadClasses(level="slice", classes=("liver", "tumour", "artefact"))
STUDY = HeadClasses(level="study", classes=("liver", "artefact", "sick"))
LABELS = {"background": 0, "liver": 1, "tumour": 2}


def case_of(**changes: Any) -> Case:
    return Case(**{"case_id": "c", "patient_id": "p", "images": ("c.nii.gz",), **changes})


def drawn(**changes: Any) -> list[list[int]]:
    label = np.zeros((3, 3, 4), np.uint8)
    label[0, 0, 1], label[1, 1, 2], label[2, 2, 3] = 1, 2, 9
    target = ExclusiveLabels(labels=LABELS, ignore=9)
    return drawn_truth(label, target, SLICES, slices=4, **changes).tolist()


def test_label_shows_its_structures_and_says_nothing_of_others() -> None:
    assert drawn() == [[0, 0, -1], [1, 0, -1], [0, 1, -1], [-1, -1, -1]]
    assert drawn(unannotated=("liver",)) == [[-1, 0, -1], [-1, 0, -1], [-1, 1, -1], [-1, -1, -1]]


def test_manifest_lists_slices_and_a_scan_shows_what_one_of_them_shows() -> None:
    manifest = manifest_of([], study_classes=("sick",))
    case = case_of(slice_labels=(("liver",), (), ("tumour", "artefact")), study_labels=("sick",))
    assert listed_truth(case, manifest, SLICES, slices=3).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert listed_truth(case, manifest, STUDY, slices=3).tolist() == [[1, 1, 1]]
    assert listed_truth(case_of(study_labels=()), manifest, STUDY, slices=3).tolist() == [[-1, -1, 0]]
    assert listed_truth(case_of(), manifest, SLICES, slices=3).tolist() == [[-1] * 3] * 3


def test_label_of_a_slice_is_part_of_its_regions() -> None:
    manifest = manifest_of([], regions={"whole": (1, 2), "core": (2,)}, regions_order=(1, 2))
    head = HeadClasses(level="slice", classes=("whole", "core"))
    case = case_of(slice_labels=(("tumour",), ("liver",), ("whole",), ("background",)))
    assert listed_truth(case, manifest, head, slices=4).tolist() == [[1, 1], [1, 0], [1, 0], [0, 0]]


def test_label_goes_before_the_list() -> None:
    assert head_truth(np.array([[1, 0, -1]]), np.array([[0, 1, 1]])).tolist() == [[1, 0, 1]]


@pytest.mark.parametrize(
    ("listed", "words"),
    [((("liver",),), "slice_labels must have an entry for each of the 3 slices, got 1"),
     ((("liver",), ("spleen",), ()), "slice_labels must be among .*'spleen'")],
)  # fmt: skip
def test_slices_that_do_not_fit_are_refused_by_case(listed: tuple[tuple[str, ...], ...], words: str) -> None:
    with pytest.raises(ScanError, match=f"case c: {words}"):
        listed_truth(case_of(slice_labels=listed), manifest_of([]), SLICES, slices=3)


@pytest.mark.parametrize("regions", [None, {"whole": (1, 2), "core": (2,)}])
def test_case_without_a_mask_annotates_nothing(tmp_path: Any, regions: dict[str, tuple[int, ...]] | None) -> None:
    order = {"regions": regions, "regions_order": (1, 2)} if regions else {}
    written = write_case(tmp_path, label=np.ones(OBLIQUE.shape, np.uint8))
    case = without_mask(written.model_copy(update={"label": None}))
    manifest = manifest_of([case], **order)
    target = training_target(manifest)
    label = read_case(case, manifest, tmp_path).label
    assert label.shape == OBLIQUE.shape
    assert set(unannotated(case, manifest)) == set(target.structures)
    assert not label.any()
    assert without_mask(written) is written
