"""The truth about slices from label volumes and from the manifest, on the right slices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medseg.errors import ScanError
from medseg.preprocess.classification import StoredSlices, prepare_slices
from medseg.preprocess.classification.targets import LabelTargets, ManifestTargets, read_targets
from medseg.records import Case
from medseg.targets import UNKNOWN, SliceClasses

from tests.grids import ALL_AXCODES, grid
from tests.preprocess.classification.scans import manifest_of, prepare, slice_config, write_labelled

BOTH = SliceClasses(classes=("liver", "spleen"))
ONE_OF = SliceClasses(kind="multiclass", classes=("background", "liver", "spleen"))


def stored_with(
    areas_mm2: dict[str, list[float]] | None, *, count: int = 0, axis: int = 2, is_flipped: bool = False
) -> StoredSlices:
    """A case in the store whose pictures nobody asks for."""
    count = len(next(iter(areas_mm2.values()))) if areas_mm2 else count
    areas = None if areas_mm2 is None else {name: np.array(area) for name, area in areas_mm2.items()}
    return StoredSlices("a", "a", Path("nowhere"), np.arange(float(count)), axis, is_flipped, areas)


def case_with(slice_labels: list[list[str]] | None) -> Case:
    labels = None if slice_labels is None else tuple(tuple(names) for names in slice_labels)
    return Case(case_id="a", patient_id="a", images=("a.nii.gz",), slice_labels=labels)


NO_LABELS = case_with(None)


def test_slice_shows_a_label_of_which_it_has_any_pixel() -> None:
    stored = stored_with({"liver": [0, 0.5, 30], "spleen": [0, 0, 2]})
    found = LabelTargets(BOTH).read(stored, NO_LABELS)
    assert found.slices.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert found.study.tolist() == [1, 1]
    assert found.slices.dtype == np.int8


def test_area_must_exceed_the_threshold() -> None:
    config = BOTH.model_copy(update={"min_area_mm2": 5.0})
    found = LabelTargets(config).read(stored_with({"liver": [4.9, 5.0, 5.1], "spleen": [5, 5, 5]}), NO_LABELS)
    assert found.slices[:, 0].tolist() == [0, 0, 1]
    assert found.study.tolist() == [1, 0]


def test_threshold_is_in_mm2_of_anisotropic_pixels(tmp_path: Path) -> None:
    """Four pixels of 0.5 × 3 mm in the coronal plane are 6 mm²; of 0.5 × 1 mm in the axial plane 2 mm²."""
    geometry = grid((12, 10, 8), spacing_mm=(0.5, 1, 3), axcodes="SLA")
    label = np.moveaxis(np.zeros((12, 10, 8), np.uint8), (0, 1, 2), (1, 2, 0))
    label[2:4, 3:5, 4:6] = 1  # two voxels along each axis
    case = write_labelled(tmp_path, "a", geometry, label=label)
    for plane, area in (("coronal", 6.0), ("axial", 2.0), ("sagittal", 12.0)):
        (stored,) = prepare([case], tmp_path, config=slice_config(plane=plane, size=(24, 24)))
        for threshold, shown in ((area - 0.01, 2), (area + 0.01, 0)):
            config = SliceClasses(classes=("liver",), min_area_mm2=threshold)
            assert LabelTargets(config).read(stored, case).slices.sum() == shown


def test_classes_come_in_the_order_asked_for() -> None:
    stored = stored_with({"liver": [1, 0], "spleen": [0, 0]})
    found = LabelTargets(SliceClasses(classes=("spleen", "liver"))).read(stored, NO_LABELS)
    assert found.slices.tolist() == [[0, 1], [0, 0]]


def test_slice_of_one_class_is_the_largest_label_or_background() -> None:
    stored = stored_with({"liver": [0, 3, 3, 1], "spleen": [0, 2, 7, 0]})
    found = LabelTargets(ONE_OF).read(stored, NO_LABELS)
    assert found.slices.argmax(axis=1).tolist() == [0, 1, 2, 1]
    assert (found.slices.sum(axis=1) == 1).all()


def test_background_may_stand_anywhere_among_the_classes() -> None:
    config = SliceClasses(kind="multiclass", classes=("spleen", "background", "liver"))
    stored = stored_with({"liver": [0, 3, 3, 1], "spleen": [0, 2, 7, 0]})
    assert LabelTargets(config).read(stored, NO_LABELS).slices.argmax(axis=1).tolist() == [1, 2, 0, 2]


def test_equal_areas_are_of_the_first_class() -> None:
    stored = stored_with({"liver": [4], "spleen": [4]})
    assert LabelTargets(ONE_OF).read(stored, NO_LABELS).slices.argmax(axis=1).tolist() == [1]


def test_label_below_the_threshold_is_not_the_largest() -> None:
    config = ONE_OF.model_copy(update={"min_area_mm2": 5.0})
    found = LabelTargets(config).read(stored_with({"liver": [4, 6], "spleen": [5, 5]}), NO_LABELS)
    assert found.slices.argmax(axis=1).tolist() == [0, 1]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), min_size=1, max_size=8), st.floats(0, 20))
def test_every_slice_is_of_exactly_one_class(areas: list[tuple[float, float]], threshold: float) -> None:
    config = ONE_OF.model_copy(update={"min_area_mm2": threshold})
    columns = {"liver": [a for a, _ in areas], "spleen": [b for _, b in areas]}
    slices = LabelTargets(config).read(stored_with(columns), NO_LABELS).slices
    assert (slices.sum(axis=1) == 1).all()
    for row, (liver, spleen) in zip(slices, areas, strict=True):
        best = max(liver, spleen)
        assert row.argmax() == (0 if best <= threshold else 1 if liver >= spleen else 2)


def test_case_without_a_label_volume_is_refused() -> None:
    with pytest.raises(ScanError, match="case a: label must be given in the manifest, got none"):
        LabelTargets(BOTH).read(stored_with(None, count=3), NO_LABELS)


def test_class_that_is_no_label_is_refused_with_the_labels() -> None:
    config = SliceClasses(classes=("liver", "lung"))
    with pytest.raises(ScanError, match=r"case a: classes must be among the labels \['liver', 'spleen'\], got \['lung"):
        LabelTargets(config).read(stored_with({"liver": [1], "spleen": [1]}), NO_LABELS)


def test_slice_that_is_of_none_of_the_classes_is_refused() -> None:
    config = SliceClasses(kind="multiclass", classes=("liver", "spleen"))
    assert LabelTargets(config).read(stored_with({"liver": [1], "spleen": [0]}), NO_LABELS).slices.tolist() == [[1, 0]]
    with pytest.raises(ScanError, match="case a: every slice must be of one class, got none on slice 1; add"):
        LabelTargets(config).read(stored_with({"liver": [1, 0], "spleen": [0, 0]}), NO_LABELS)


def test_slice_labels_are_counted_along_the_array_s_last_axis() -> None:
    names = [["liver"], [], ["spleen", "liver"]]
    found = ManifestTargets(BOTH).read(stored_with(None, count=3), case_with(names))
    assert found.slices.tolist() == [[1, 0], [0, 0], [1, 1]]
    turned = ManifestTargets(BOTH).read(stored_with(None, count=3, is_flipped=True), case_with(names))
    assert turned.slices.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert found.study.tolist() == turned.study.tolist() == [1, 1]


@pytest.mark.parametrize("axcodes", ALL_AXCODES)
def test_slice_labels_and_the_label_volume_tell_the_same_of_any_orientation(tmp_path: Path, axcodes: str) -> None:
    geometry = grid((8, 9, 10), axcodes=axcodes)
    label = np.zeros(geometry.shape, np.uint8)
    label[2, 3, 1:4] = 1
    label[2, 4, 3] = 2
    values = (("liver", 1), ("spleen", 2))
    names = [[name for name, value in values if (part == value).any()] for part in label.transpose(2, 0, 1)]
    case = write_labelled(tmp_path, "a", geometry, label=label)
    case = case.model_copy(update={"slice_labels": tuple(tuple(part) for part in names)})
    plane = {"R": "sagittal", "L": "sagittal", "A": "coronal", "P": "coronal", "S": "axial", "I": "axial"}[axcodes[2]]
    (stored,) = prepare([case], tmp_path, config=slice_config(plane=plane))
    from_label = LabelTargets(BOTH).read(stored, case).slices
    np.testing.assert_array_equal(ManifestTargets(BOTH).read(stored, case).slices, from_label)
    assert from_label.sum(axis=0).tolist() == [3, 1]


def test_unnamed_slice_is_background_where_every_slice_is_of_one_class() -> None:
    found = ManifestTargets(ONE_OF).read(stored_with(None, count=3), case_with([[], ["spleen"], ["background"]]))
    assert found.slices.argmax(axis=1).tolist() == [0, 2, 0]


@pytest.mark.parametrize(
    ("names", "stored", "config", "message"),
    [
        (None, stored_with(None, count=2), BOTH, "slice_labels must be given in the manifest, got none; add them"),
        ([["liver"]], stored_with(None, count=2), BOTH, "one entry for each of 2 slices, got 1; fix the manifest"),
        ([["liver"]] * 3, stored_with(None, count=2), BOTH, "one entry for each of 2 slices, got 3"),
        ([["liver"]] * 2, stored_with(None, count=2, axis=1), BOTH, "along axis 1; choose the plane"),
        (
            [["lung"], []],
            stored_with(None, count=2),
            BOTH,
            r"must be among \['background', 'liver', 'spleen'\], got \['lung'\]",
        ),
        (
            [["liver", "spleen"], []],
            stored_with(None, count=2),
            ONE_OF,
            "must be of one class, got .*kind multilabel",
        ),
    ],
)
def test_slice_labels_that_do_not_fit_are_refused(
    names: list[list[str]] | None, stored: StoredSlices, config: SliceClasses, message: str
) -> None:
    with pytest.raises(ScanError, match=f"^case a: .*{message}"):
        ManifestTargets(config).read(stored, case_with(names))


def test_case_whose_truth_is_missing_is_named_and_the_others_go_on() -> None:
    good, bad = stored_with({"liver": [1.0], "spleen": [0.0]}), stored_with(None, count=1)
    bad = StoredSlices("b", "b", bad.folder, bad.positions_mm, 2, False, None)
    cases = [NO_LABELS.model_copy(update={"case_id": "b"}), NO_LABELS]
    found, missing = read_targets(LabelTargets(BOTH), [good, bad], cases)
    assert set(found) == {"a"}
    assert set(missing) == {"b"}
    assert missing["b"].startswith("case b: label must be given")


def test_instances_count_as_their_one_label(tmp_path: Path) -> None:
    geometry = grid((8, 8, 4))
    label = np.zeros(geometry.shape, np.uint8)
    label[1:3, 1, 0], label[5, 5, 0], label[4, 4, 2] = 1, 2, 7
    case = write_labelled(tmp_path, "a", geometry, label=label)
    manifest = manifest_of([case], labels={"background": 0, "nodule": 1}, instances=True)
    (stored,) = prepare([case], tmp_path, manifest=manifest)
    assert stored.areas_mm2 is not None
    assert stored.areas_mm2["nodule"].tolist() == [3, 0, 1, 0]


def test_what_could_lie_in_ignored_voxels_is_unknown_unless_it_is_shown() -> None:
    stored = replace(
        stored_with({"liver": [0, 0, 3, 30], "spleen": [0, 0, 0, 0]}), ignored_mm2=np.array([0.0, 2.0, 2.5, 2.0])
    )
    config = BOTH.model_copy(update={"min_area_mm2": 5.0})
    found = LabelTargets(config).read(stored, NO_LABELS)
    # On the second slice at most 2 mm² could be shown, on the third 3 + 2.5 mm² of the liver.
    assert found.slices.tolist() == [[0, 0], [0, 0], [UNKNOWN, 0], [1, 0]]
    assert found.study.tolist() == [1, 0]
    found = LabelTargets(BOTH).read(stored, NO_LABELS)
    assert found.slices.tolist() == [[0, 0], [UNKNOWN, UNKNOWN], [1, UNKNOWN], [1, UNKNOWN]]
    assert found.study.tolist() == [1, UNKNOWN]
    found = LabelTargets(ONE_OF).read(stored, NO_LABELS)
    assert (found.slices[1:] == UNKNOWN).all()
    assert found.slices[0].tolist() == [1, 0, 0]


def test_what_a_case_does_not_annotate_is_unknown_on_all_of_its_slices() -> None:
    stored = replace(stored_with({"liver": [0, 3], "spleen": [0, 0]}), unannotated=("spleen",))
    found = LabelTargets(BOTH).read(stored, NO_LABELS)
    assert found.slices.tolist() == [[0, UNKNOWN], [1, UNKNOWN]]
    assert found.study.tolist() == [1, UNKNOWN]


def test_slices_show_the_regions_that_their_values_make_up(tmp_path: Path) -> None:
    """One voxel of 2 mm² of the rim, and one of the core, on slices of their own; a scribble on the last."""
    label = np.zeros((6, 6, 4), np.uint8)
    label[2, 2, 1], label[2, 2, 2], label[1:3, 1, 3] = 1, 2, 9
    case = write_labelled(tmp_path, "a", grid(label.shape, spacing_mm=(1, 2, 3)), label=label)
    manifest = manifest_of([case]).model_copy(
        update={
            "labels": {"background": 0, "rim": 1, "core": 2},
            "regions": {"whole": (1, 2), "inner": (2,)},
            "regions_order": (1, 2),
            "ignore": 9,
        }
    )
    config = slice_config(plane="axial", size=(24, 24))
    (stored,) = prepare_slices([case], manifest, tmp_path, config=config, with_labels=True, store=tmp_path / "s").cases
    assert stored.areas_mm2 is not None
    areas = {name: area.tolist() for name, area in stored.areas_mm2.items()}
    assert areas == {"whole": [0, 2, 2, 0], "inner": [0, 0, 2, 0]}
    assert stored.ignored_mm2 is not None
    assert stored.ignored_mm2.tolist() == [0, 0, 0, 4]
    found = LabelTargets(SliceClasses(classes=("whole", "inner"))).read(stored, case)
    assert found.slices.tolist() == [[0, 0], [1, 0], [1, 1], [UNKNOWN, UNKNOWN]]
