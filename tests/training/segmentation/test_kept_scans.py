"""Scans in memory give the patches that the store gives."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from medseg.errors import ScanError
from medseg.preprocess.segmentation import StoredCase
from medseg.training.segmentation import SegmentationInputs, SegmentationTask, TrainingConfig
from medseg.training.segmentation.kept_scans import KeptScans
from medseg.training.segmentation.patches import PatchDataset

from tests.labels import labels_of

EVERYTHING = 2**30


def patches(cases: tuple[StoredCase, ...], kept: KeptScans | None) -> PatchDataset:
    config = TrainingConfig(patch_size=(16, 12, 8), batch_size=2, patches_per_case=2)
    return PatchDataset(cases, config, target=labels_of(0, 1, 2, 3, 4, 5), kept=kept)


@pytest.mark.parametrize("most_bytes", [0, 200_000, EVERYTHING])
def test_patches_are_those_of_the_store(prepared: tuple[StoredCase, ...], most_bytes: int) -> None:
    stored, kept = patches(prepared, None), patches(prepared, KeptScans(most_bytes))
    for index in (*range(8), *range(8)):
        assert all(torch.equal(stored[index][name], kept[index][name]) for name in ("image", "label"))


def bytes_of(case: StoredCase) -> int:
    return int(sum(np.asarray(array[...]).nbytes for array in (case.image(), case.label())))


def in_memory(kept: KeptScans, cases: tuple[StoredCase, ...]) -> list[bool]:
    return [isinstance(kept.arrays(case)[0], np.ndarray) for case in cases]


def test_no_more_is_held_than_may_be(prepared: tuple[StoredCase, ...]) -> None:
    first, *_ = prepared
    assert in_memory(KeptScans(bytes_of(first)), prepared) == [True, False, False]
    assert in_memory(KeptScans(bytes_of(first) - 1), (first,)) == [False]


@pytest.mark.parametrize("processes", [1, 8])
def test_processes_of_a_training_share_a_fifth_of_the_free_memory(
    prepared: tuple[StoredCase, ...], processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = prepared
    free = 5 * processes * bytes_of(first)
    monkeypatch.setattr("medseg.training.ranks.idist.get_nproc_per_node", lambda: processes)
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free))
    assert in_memory(KeptScans(), prepared) == [True, False, False]
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=free - 5 * processes))
    assert in_memory(KeptScans(), (first,)) == [False]


def test_threads_that_ask_at_once_hold_a_scan_once(prepared: tuple[StoredCase, ...]) -> None:
    kept = KeptScans(sum(bytes_of(case) for case in prepared) + 16 * bytes_of(prepared[0]))
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: kept.arrays(prepared[0])[0], range(64)))
    assert all(image is found[0] for image in found)
    assert in_memory(kept, prepared) == [True, True, True]


def test_held_scan_is_not_read_again(prepared: tuple[StoredCase, ...], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prepared[0].folder, tmp_path / "entry"))
    case = replace(prepared[0], folder=folder)
    held, read = (patches((case,), kept) for kept in (KeptScans(EVERYTHING), None))
    assert torch.equal(held[0]["image"], read[0]["image"])
    shutil.rmtree(folder)
    held[1]
    with pytest.raises(ScanError, match="store entry"):
        read[1]


def test_training_on_a_gpu_reads_ahead_from_memory_and_on_a_cpu_from_the_store(
    prepared: tuple[StoredCase, ...], build_inputs: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs: SegmentationInputs = build_inputs()  # type: ignore[operator]
    made: list[object] = []
    monkeypatch.setattr(
        "medseg.training.segmentation.task.phased_batches", lambda samples, *a, **k: made.extend(samples)
    )
    for device in ("cpu", "cuda"):
        SegmentationTask(replace(inputs, device=torch.device(device))).batches(0, lambda step: 0.0)
    assert [samples._kept is not None for samples in made] == [False, True]  # type: ignore[attr-defined]
