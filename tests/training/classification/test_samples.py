"""What comes in a batch: every known slice once per epoch, always the same ones under the same number."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.preprocess.classification import StoredSlices, with_context
from medseg.preprocess.classification.targets import SliceTargets
from medseg.training.batches import batches
from medseg.training.classification.samples import SliceSamples, StudySamples, steps_per_epoch

from tests.grids import grid
from tests.preprocess.classification.scans import prepare, slice_config, write_labelled
from tests.training.classification.toys import known, training_config

COUNTS = {"a": 7, "b": 1, "c": 4}


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory) -> tuple[StoredSlices, ...]:
    """Cases of 7, 1 and 4 slices; a pixel of slice n of case m holds 100 m + n, in the second channel 1000 more."""
    root = tmp_path_factory.mktemp("numbered")
    cases = []
    for number, (name, count) in enumerate(COUNTS.items()):
        geometry = grid((8, 8, count), axcodes="RAS")
        image = np.broadcast_to(100 * number + np.arange(count), geometry.shape)
        cases.append(write_labelled(root, name, geometry, image=np.stack([image, image + 1000])))
    from tests.preprocess.classification.scans import NONE, manifest_of

    config = slice_config(size=(8, 8), normalisation=(NONE, NONE))
    return prepare(cases, root, config=config, manifest=manifest_of(cases, channels=("T1", "T2")), with_labels=False)


def truth_of(numbered: tuple[StoredSlices, ...]) -> dict[str, SliceTargets]:
    """Slice n shows the class if n is odd."""
    return {case.case_id: known([[n % 2] for n in range(len(case))]) for case in numbered}


def shown(sample: dict[str, torch.Tensor]) -> list[int]:
    return [int(value) for value in sample["image"][:, 4, 4]]


def test_every_slice_comes_once_per_epoch_with_its_own_truth(numbered: tuple[StoredSlices, ...]) -> None:
    samples = SliceSamples(numbered, truth_of(numbered), training_config(), context=0)
    everything = [100 * number + n for number, count in enumerate(COUNTS.values()) for n in range(count)]
    assert len(samples) == len(everything) == 12
    orders = []
    for epoch in range(3):
        drawn = [samples[index] for index in range(epoch * 12, epoch * 12 + 12)]
        numbers = [shown(sample)[0] for sample in drawn]
        assert sorted(numbers) == everything
        assert [int(sample["target"]) for sample in drawn] == [n % 100 % 2 for n in numbers]
        orders.append(tuple(numbers))
    assert len(set(orders)) == 3


def test_slice_of_which_nothing_is_known_never_comes(numbered: tuple[StoredSlices, ...]) -> None:
    truth = truth_of(numbered) | {"a": known([[-1], [-1], [1], [-1], [0], [-1], [-1]]), "b": known([[-1]])}
    samples = SliceSamples(numbered, truth, training_config(), context=0)
    assert sorted(shown(samples[n])[0] for n in range(len(samples))) == [2, 4, 200, 201, 202, 203]


def test_slice_of_which_one_class_is_known_comes_with_the_others_unknown(numbered: tuple[StoredSlices, ...]) -> None:
    truth = {name: known([[-1, 1]] * count) for name, count in COUNTS.items()}
    samples = SliceSamples(numbered, truth, training_config(), context=0)
    assert len(samples) == 12
    assert samples[3]["target"].tolist() == [-1, 1]


@pytest.mark.parametrize("context", [0, 1, 3])
def test_neighbours_read_from_the_store_are_those_of_the_whole_stack(
    numbered: tuple[StoredSlices, ...], context: int
) -> None:
    samples = SliceSamples(numbered, truth_of(numbered), training_config(), context=context)
    for index in range(len(samples)):
        found = samples[index]["image"]
        middle = shown({"image": found})[context]
        stack = numbered[middle // 100].stack()
        assert torch.equal(found, with_context(stack, middle % 100, context))


def test_same_number_gives_the_same_sample_whoever_asks(numbered: tuple[StoredSlices, ...]) -> None:
    one, two, other = (
        SliceSamples(numbered, truth_of(numbered), training_config(seed=seed), context=1) for seed in (0, 0, 1)
    )
    late = two[17]
    for index in (0, 5, 17):
        assert torch.equal(one[index]["image"], two[index]["image"])
    assert torch.equal(late["image"], two[17]["image"])
    assert any(not torch.equal(one[n]["image"], other[n]["image"]) for n in range(12))


def test_batches_from_a_later_step_are_those_of_an_unbroken_run(numbered: tuple[StoredSlices, ...]) -> None:
    samples = SliceSamples(numbered, truth_of(numbered), training_config(batch_size=5), context=0)
    whole = list(islice(batches(samples, first_step=0), 6))
    broken = list(islice(batches(samples, first_step=4), 2))
    for ours, theirs in zip(broken, whole[4:], strict=True):
        assert torch.equal(ours["image"], theirs["image"])
        assert torch.equal(ours["target"], theirs["target"])
    assert whole[0]["image"].shape == (5, 2, 8, 8)


def test_target_is_a_copy_that_a_step_may_change(numbered: tuple[StoredSlices, ...]) -> None:
    truth = truth_of(numbered)
    samples = SliceSamples(numbered, truth, training_config(), context=0)
    for index in range(12):
        samples[index]["target"].fill_(7)
    assert max(targets.slices.max() for targets in truth.values()) == 1


def test_study_is_shown_by_slices_spread_over_all_of_it(numbered: tuple[StoredSlices, ...]) -> None:
    """Seven parts of seven slices are the slices themselves; three parts of seven lie in thirds."""
    truth = {name: known([[0]] * count, [1]) for name, count in COUNTS.items()}
    whole = StudySamples(numbered[:1], truth, training_config(slices_per_study=7), context=0)
    assert whole[0]["image"][:, 0, 4, 4].tolist() == [0, 1, 2, 3, 4, 5, 6]
    thirds = StudySamples(numbered[:1], truth, training_config(slices_per_study=3), context=0)
    drawn = np.array([thirds[n]["image"][:, 0, 4, 4].tolist() for n in range(40)])
    assert ((drawn >= [0, 2, 4]) & (drawn <= [2, 4, 6])).all()
    assert set(drawn.ravel()) == set(range(7))
    few = StudySamples(numbered[1:2], truth, training_config(slices_per_study=3), context=0)
    assert few[0]["image"][:, 0, 4, 4].tolist() == [100] * 3


def test_every_study_comes_once_per_epoch_and_unknown_ones_never(numbered: tuple[StoredSlices, ...]) -> None:
    truth = {"a": known([[0]] * 7, [1]), "b": known([[0]], [-1]), "c": known([[-1]] * 4, [0])}
    samples = StudySamples(numbered, truth, training_config(slices_per_study=2), context=1)
    assert len(samples) == 2
    for epoch in range(3):
        drawn = [samples[2 * epoch + n] for n in range(2)]
        assert {int(item["image"][0, 1, 4, 4]) // 100: int(item["target"]) for item in drawn} == {0: 1, 2: 0}
        assert drawn[0]["image"].shape == (2, 6, 8, 8)


@pytest.mark.parametrize(
    ("samples", "batch_size", "longest", "expected"),
    [(10, 5, 250, 2), (11, 5, 250, 3), (1, 64, 250, 1), (6400, 64, 20, 20)],
)
def test_epoch_shows_every_sample_once_or_stops_at_its_longest(
    samples: int, batch_size: int, longest: int, expected: int
) -> None:
    assert steps_per_epoch(samples, training_config(batch_size=batch_size, longest_epoch=longest)) == expected


def test_damaged_store_names_the_case_and_the_remedy(tmp_path: Path) -> None:
    from medseg.errors import ScanError

    (stored,) = prepare([write_labelled(tmp_path, "a", grid((8, 8, 3)))], tmp_path)
    (stored.folder / "slices.b2nd").write_bytes(b"nothing")
    samples = SliceSamples([stored], {"a": known([[0]] * 3)}, training_config(), context=0)
    with pytest.raises(ScanError, match=r"case a: store entry .* must be whole, got: .*; delete that folder"):
        samples[0]
