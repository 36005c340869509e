"""A label of one rater in each patch: reproducible, even, and resumed as if nothing had happened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.cohort import SERIAL
from medseg.manifest import load_manifest, training_target
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.segmentation import StoredCase, prepare_cases
from medseg.runs.case_digests import CaseDigests, digests_of
from medseg.training import StepBudget
from medseg.training.engine import run_task
from medseg.training.segmentation import SegmentationInputs, SegmentationTask, TrainingConfig
from medseg.training.segmentation.kept_scans import KeptScans
from medseg.training.segmentation.marginal_loss import open_index
from medseg.training.segmentation.patches import PatchDataset

from tests.labels import labels_of
from tests.several_raters import SHAPE, SPACING_MM, boxes, readings, write, write_raters
from tests.training.segmentation.test_task import PowerCutError, cut_at, weights

CONFIG = PreprocessConfig(axcodes="RAS", spacing_mm=SPACING_MM, normalisation=(ChannelNormalisation(kind="zscore"),))


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredCase, ...]:
    """Three cases of three raters each, prepared on their own grid."""
    place = tmp_path_factory.mktemp("raters")
    manifest, root = load_manifest(write_raters(place / "dataset"))
    done = prepare_cases(manifest.cases, manifest, root, config=CONFIG, store=place / "store", executor=SERIAL)
    assert done.failures == ()
    return done.cases


def patches(
    cases: tuple[StoredCase, ...], *, raters: str | None = "sampled", kept: KeptScans | None = None, share: float = 0.5
) -> PatchDataset:
    """Patches that hold a whole scan."""
    config = TrainingConfig(patch_size=SHAPE, batch_size=2, raters=raters, foreground_share=share)  # type: ignore[arg-type]
    return PatchDataset(cases, config, target=labels_of(0, 1, 2).model_copy(update={"ignore": 3}), kept=kept)


def readers(dataset: PatchDataset, case: int, *, count: int = 240) -> list[str]:
    """Whose label each of the first patches of a case holds."""
    drawn = {name: torch.from_numpy(one.astype(np.int16))[None] for name, one in readings(4 + case).items()}
    names = []
    for index in range(count):
        label = dataset[index]["label"]
        names += [name for name, one in drawn.items() if torch.equal(label, one)]
    return names


def test_store_holds_what_each_rater_drew_beside_the_reference(read: tuple[StoredCase, ...]) -> None:
    for number, label in enumerate(readings(4).values()):
        one = read[0].as_read_by(number)
        assert np.array_equal(np.asarray(one.label()[...]), label)
        assert one.voxels == {int(value): int((label == value).sum()) for value in np.unique(label)}
        at = one.foreground()
        assert all(label[i, j, k] == value for value, i, j, k in at[:50])
        assert one.folder == read[0].folder
    assert not (read[0].folder / "reading_3.b2nd").exists()


def test_rater_of_each_patch_is_drawn_evenly_and_by_the_seed(read: tuple[StoredCase, ...]) -> None:
    first, again = readers(patches(read), 0), readers(patches(read), 0)
    assert first == again
    count = Counter(first)
    assert sum(count.values()) == 80  # a third of the patches is of this case
    assert set(count) == {"A", "B", "C"}
    assert min(count.values()) >= 15  # 27 are expected


def test_patches_of_memory_are_those_of_the_store_and_an_image_is_held_once(read: tuple[StoredCase, ...]) -> None:
    kept = KeptScans(2**30)
    stored, held = patches(read), patches(read, kept=kept)
    for index in (*range(12), *range(12)):
        assert all(torch.equal(stored[index][name], held[index][name]) for name in ("image", "label"))
    first, second = kept.arrays(read[0].as_read_by(0)), kept.arrays(read[0].as_read_by(1))
    assert np.shares_memory(first[0], second[0])
    assert not np.array_equal(first[1], second[1])


def test_patches_of_a_fused_label_are_those_of_a_dataset_without_raters(read: tuple[StoredCase, ...]) -> None:
    alone = tuple(replace(case, readings=()) for case in read)
    for raters in (None, "majority"):
        one, two = patches(read, raters=raters), patches(alone, raters=None)
        for index in range(6):
            assert all(torch.equal(one[index][name], two[index][name]) for name in ("image", "label"))


def test_patch_on_a_label_is_centred_on_what_its_own_rater_drew(read: tuple[StoredCase, ...]) -> None:
    config = TrainingConfig(patch_size=(4, 4, 4), raters="sampled", foreground_share=1.0)
    dataset = PatchDataset(read, config, target=labels_of(0, 1, 2))
    assert all((dataset[index]["label"] > 0).any() for index in range(60))


def test_rater_who_annotated_nothing_in_a_case_is_not_drawn(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path / "dataset", cases=1, ignore=3)
    write(np.full_like(boxes(), 3)[None], dataset / "labels_B/r0.nii.gz")
    manifest, root = load_manifest(dataset)
    cases = prepare_cases(manifest.cases, manifest, root, config=CONFIG, store=tmp_path / "store", executor=SERIAL)
    assert set(readers(patches(cases.cases), 0, count=40)) == {"A", "C"}


@pytest.mark.parametrize("raters", ["sampled", "majority"])
def test_background_of_raters_who_annotated_one_structure_may_be_the_other(tmp_path: Path, raters: str) -> None:
    dataset = write_raters(tmp_path / "dataset", cases=1, entry={"annotated_labels": ["organ"]})
    alone = {name: np.where(label == 1, label, 0) for name, label in readings(4).items()}
    for name, label in alone.items():
        write(label[None], dataset / f"labels_{name}/r0.nii.gz")
    manifest, root = load_manifest(dataset)
    cases = prepare_cases(manifest.cases, manifest, root, config=CONFIG, store=tmp_path / "store", executor=SERIAL)
    expected = [boxes(4, node=False, more=2)] if raters == "majority" else list(alone.values())
    counts = {(int((label == 1).sum()), int((label == 0).sum())) for label in expected}
    dataset_of_patches = patches(cases.cases, raters=raters)
    found = [dataset_of_patches[index]["label"] for index in range(40)]
    assert {(int((one == 1).sum()), int((one == open_index(0)).sum())) for one in found} == counts
    assert {int(value) for one in found for value in one.unique()} == {1, open_index(0)}


def test_correction_of_one_rater_is_another_label_though_the_majority_stays(tmp_path: Path) -> None:
    dataset = write_raters(tmp_path / "dataset", cases=1)
    manifest, root = load_manifest(dataset)

    def known() -> CaseDigests:
        return digests_of(
            prepare_cases(
                manifest.cases, manifest, root, config=CONFIG, store=tmp_path / "store", executor=SERIAL
            ).cases[0]
        )

    before = known()
    assert known().is_same(before)
    corrected = boxes(4, node=False)
    corrected[0, 0, 0] = 2
    write(corrected[None], dataset / "labels_C/r0.nii.gz")
    assert not known().is_same(before)


def test_sampled_training_that_is_cut_and_resumed_equals_an_unbroken_one(
    read: tuple[StoredCase, ...], build_inputs: Callable[..., SegmentationInputs]
) -> None:
    def inputs(name: str, raters: str = "sampled") -> SegmentationInputs:
        built = build_inputs(name, raters=raters, network={"out_channels": 3})
        target = labels_of(0, 1, 2).model_copy(update={"ignore": 3})
        return replace(built, training=read[:2], validation=read[2:], target=target)

    whole, broken, fused = inputs("whole"), inputs("broken"), inputs("fused", raters="majority")
    run_task(SegmentationTask(whole), StepBudget(6))
    with pytest.raises(PowerCutError):
        run_task(SegmentationTask(broken), StepBudget(6), on_step=cut_at(4))
    run_task(SegmentationTask(broken), StepBudget(6), resume=True)
    assert weights(broken) == weights(whole)
    assert weights(broken, "best") == weights(whole, "best")
    run_task(SegmentationTask(fused), StepBudget(6))
    assert weights(fused) != weights(whole)


def test_fusion_of_the_plan_has_entries_of_its_own(tmp_path: Path) -> None:
    manifest, root = load_manifest(write_raters(tmp_path / "dataset", cases=1))
    other = manifest.model_copy(update={"fusion": "staple"})
    named = manifest.model_copy(update={"fusion": "majority"})
    folders = [
        prepare_cases(one.cases, one, root, config=CONFIG, store=tmp_path / "store", executor=SERIAL).cases[0].folder
        for one in (manifest, other, named)
    ]
    assert folders[0] != folders[1]
    assert folders[0] == folders[2]
    assert training_target(manifest).ignore == 3
