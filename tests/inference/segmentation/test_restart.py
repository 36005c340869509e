"""A prediction that is continued: what is kept, what is drawn again, what is refused, and what a kill leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
import pytest
from medseg.errors import ConfigError, DeliveryError
from medseg.inference import CaseInput, load_record
from medseg.inference.folder_lock import locked_folder
from medseg.inference.segmentation import ModelCard, Predictor, predict_cases
from medseg.scans import read_label, write_scan
from torch import Tensor, nn

from tests.grids import grid
from tests.inference.classification.knowing import CPU
from tests.inference.segmentation.test_predict_cases import Steps
from tests.scans.test_voxel_files import HEADERS, write_named

CardBuilder = Callable[..., ModelCard]
NAMES = ("a", "b", "c")
GRID = grid((9, 8, 7))


class Counting(nn.Module):
    """Knows the answer, and counts the windows that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.windows = 0

    def forward(self, x: Tensor) -> Tensor:
        self.windows += 1
        drawn: Tensor = Steps()(x)
        return drawn


class Place(NamedTuple):
    """Cases, the folder of their masks, and a model with the network that draws them."""

    inputs: list[CaseInput]
    out: Path
    model: Predictor
    network: Counting

    def predict(self, *names: str, **choices: Any) -> tuple[list[str], list[str], list[str]]:
        """Ids of the masks that were drawn, of those that were kept, and of the cases that failed."""
        wanted = [case for case in self.inputs if case.case_id in (names or NAMES)]
        predictions, failures = predict_cases(self.model, wanted, self.out, **choices)
        drawn, kept = ([one.case_id for one in predictions if one.is_kept is was] for was in (False, True))
        return drawn, kept, [one.case_id for one in failures]

    def listed(self) -> list[str]:
        """Ids of the cases in the record."""
        record = load_record(self.out)
        return [case.case_id for case in record.cases] if record else []

    def written(self) -> dict[str, tuple[bytes, int]]:
        """Content and time of every file in the folder but the record."""
        files = (path for path in self.out.iterdir() if path.name != "predictions.json")
        return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def write_input(case: CaseInput, value: int) -> None:
    array = np.zeros(GRID.shape, np.float32)
    array[1:4, 2:5, 3:5] = value
    write_scan(array[None], GRID, case.files[0])


@pytest.fixture
def place(build_card: CardBuilder, tmp_path: Path) -> Place:
    inputs = [CaseInput(name, (tmp_path / "in" / f"{name}.nii.gz",)) for name in NAMES]
    for case in inputs:
        write_input(case, 1)
    network = Counting()
    model = Predictor(network, build_card(), device=CPU, precision="fp32")
    model.weights, model.weights_digest = "last", "w" * 64
    return Place(inputs, tmp_path / "out", model, network)


def test_finished_masks_are_kept_untouched_without_the_network(place: Place) -> None:
    assert place.predict() == (["a", "b", "c"], [], [])
    before, windows = place.written(), place.network.windows
    assert place.predict() == ([], ["a", "b", "c"], [])
    assert place.written() == before
    assert place.network.windows == windows
    assert place.listed() == ["a", "b", "c"]


def test_kept_masks_are_reported_like_drawn_ones(place: Place) -> None:
    drawn, _ = predict_cases(place.model, place.inputs, place.out)
    done: list[str] = []
    kept, _ = predict_cases(place.model, place.inputs, place.out, on_done=done.append)
    assert done == ["a", "b", "c"]
    assert [(one.case_id, one.mask_path, one.volume_ml) for one in kept] == [
        (one.case_id, one.mask_path, one.volume_ml) for one in drawn
    ]


def test_only_what_is_missing_is_drawn(place: Place) -> None:
    place.predict("b")
    before = place.written()
    assert place.predict() == (["a", "c"], ["b"], [])
    assert {name: place.written()[name] for name in before} == before
    assert place.listed() == ["a", "b", "c"]


def test_changed_input_is_drawn_again(place: Place) -> None:
    place.predict()
    write_input(place.inputs[1], 2)
    assert place.predict() == (["b"], ["a", "c"], [])
    mask, _ = read_label(place.out / "b.nii.gz", case_id="b")
    assert set(np.unique(mask)) == {0, 7}


@pytest.mark.parametrize("name", HEADERS)
def test_input_whose_header_stays_and_whose_voxels_change_is_drawn_again(
    name: str, build_card: CardBuilder, tmp_path: Path
) -> None:
    cases = [CaseInput(one, (write_named(tmp_path / one, name),)) for one in NAMES]
    model = Predictor(Counting(), build_card(), device=CPU, precision="fp32")
    model.weights, model.weights_digest = "last", "w" * 64
    place = Place(cases, tmp_path / "out", model, Counting())
    assert place.predict() == (["a", "b", "c"], [], [])
    for changed in HEADERS[name][1]:
        file = tmp_path / "b" / changed
        file.write_bytes(b"\7" + file.read_bytes()[1:])
        assert place.predict() == (["b"], ["a", "c"], [])
    file.unlink()  # its mask stays, as that of an input that is gone
    assert place.predict() == ([], ["a", "c"], ["b"])
    assert place.listed() == ["a", "b", "c"]


def test_input_that_was_only_copied_again_is_not(place: Place) -> None:
    place.predict()
    for case in place.inputs:
        os.utime(case.files[0], (0, 0))
    assert place.predict() == ([], ["a", "b", "c"], [])


@pytest.mark.parametrize(
    "damage",
    [
        lambda out: (out / "b.nii.gz").unlink(),
        lambda out: (out / "b.json").unlink(),
        lambda out: (out / "b.json").write_text("{", encoding="utf-8"),
        lambda out: (out / "b.json").write_bytes((out / "a.json").read_bytes()),
        lambda out: (out / "b.nii.gz").write_bytes((out / "b.nii.gz").read_bytes()[:-9]),
    ],
    ids=["mask gone", "sidecar gone", "sidecar torn", "sidecar of another", "mask torn"],
)
def test_mask_that_is_not_as_it_was_written_is_drawn_again(place: Place, damage: Callable[[Path], object]) -> None:
    place.predict()
    before = place.written()["b.nii.gz"][0]
    damage(place.out)
    assert place.predict() == (["b"], ["a", "c"], [])
    assert place.written()["b.nii.gz"][0] == before
    assert place.predict() == ([], ["a", "b", "c"], [])


def test_mask_that_a_person_corrected_stays_and_is_listed_as_edited(place: Place) -> None:
    place.predict()
    image = nib.load(place.out / "b.nii.gz")
    corrected = np.asarray(image.dataobj).copy()
    corrected[0, 0, 0] = 1 - corrected[0, 0, 0]
    nib.save(nib.Nifti1Image(corrected, image.affine, image.header), place.out / "b.nii.gz")
    assert place.predict() == ([], ["a", "b", "c"], [])
    np.testing.assert_array_equal(np.asarray(nib.load(place.out / "b.nii.gz").dataobj), corrected)
    record = load_record(place.out)
    assert record is not None
    assert [case.is_edited for case in record.cases] == [False, True, False]
    write_input(place.inputs[1], 7)
    assert place.predict() == (["b"], ["a", "c"], [])
    np.testing.assert_array_equal(np.asarray(nib.load(place.out / "b.set_aside.nii.gz").dataobj), corrected)


def test_mask_of_unknown_origin_is_set_aside_and_not_overwritten(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.predict()
    for name in ("b.json", "b.nii.gz"):
        (place.out / name).unlink()
    mine = (place.out / "a.nii.gz").read_bytes() + b"\0"
    (place.out / "b.nii.gz").write_bytes(mine)
    assert place.predict() == (["b"], ["a", "c"], [])
    assert (place.out / "b.set_aside.nii.gz").read_bytes() == mine
    assert caplog.messages == [
        "case b: the mask that was there is not as it was drawn; it is kept as b.set_aside.nii.gz"
    ]
    (place.out / "b.json").unlink()
    (place.out / "b.nii.gz").write_bytes(mine + b"\0")
    place.predict()
    assert (place.out / "b.set_aside_2.nii.gz").read_bytes() == mine + b"\0"


def test_mask_whose_sidecar_a_kill_prevented_leaves_no_copy(place: Place) -> None:
    place.predict()
    (place.out / "b.json").unlink()
    assert place.predict() == (["b"], ["a", "c"], [])
    assert not list(place.out.glob("*set_aside*"))


@pytest.mark.parametrize("damage", ["gone", "torn", "empty"])
def test_record_that_was_lost_is_made_again_from_the_sidecars(place: Place, damage: str) -> None:
    place.predict("a", "b")
    path = place.out / "predictions.json"
    whole = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(whole[:500] if damage == "torn" else b"")
    assert place.predict() == (["c"], ["a", "b"], [])
    assert place.listed() == ["a", "b", "c"]


@pytest.mark.parametrize("damage", ["gone", "torn"])
def test_record_that_was_lost_lets_no_other_model_continue(place: Place, damage: str) -> None:
    place.predict()
    before, path = place.written(), place.out / "predictions.json"
    path.unlink()
    if damage == "torn":
        path.write_bytes(b"{")
    place.model.weights_digest = "v" * 64
    with pytest.raises(
        ConfigError, match=r"got masks of another model or choice, and no predictions\.json that names it"
    ):
        place.predict()
    assert place.written() == before


def test_empty_record_of_a_power_cut_before_any_mask_is_no_obstacle(place: Place) -> None:
    place.out.mkdir()
    (place.out / "predictions.json").touch()
    assert place.predict("a") == (["a"], [], [])


def test_torn_record_without_any_sidecar_is_refused(place: Place) -> None:
    place.out.mkdir()
    (place.out / "predictions.json").write_text("{", encoding="utf-8")
    with pytest.raises(DeliveryError, match="must be as predict wrote it"):
        place.predict()


@pytest.mark.parametrize("name", ["predictions", "Predictions"])
def test_case_whose_sidecar_would_be_the_record_fails(place: Place, name: str) -> None:
    case = CaseInput(name, place.inputs[0].files)
    _, (failure,) = predict_cases(place.model, [case], place.out)
    assert "the name must not be that of predictions.json; rename the scan" in failure.reason
    assert place.listed() == []


def test_failed_case_is_tried_again(place: Place) -> None:
    whole = place.inputs[1].files[0].read_bytes()
    place.inputs[1].files[0].write_bytes(whole[:50])
    assert place.predict() == (["a", "c"], [], ["b"])
    assert place.predict() == ([], ["a", "c"], ["b"])
    place.inputs[1].files[0].write_bytes(whole)
    assert place.predict() == (["b"], ["a", "c"], [])
    record = load_record(place.out)
    assert record is not None
    assert record.failures == ()


def test_masks_that_are_not_asked_for_stay_and_stay_listed(place: Place) -> None:
    place.predict("a", "c")
    before = place.written()
    assert place.predict("b") == (["b"], [], [])
    assert {name: place.written()[name] for name in before} == before
    assert place.listed() == ["b", "a", "c"]


def test_mask_of_an_input_that_is_gone_stays_and_the_case_fails(place: Place) -> None:
    place.predict()
    before = place.written()
    place.inputs[1].files[0].rename(place.inputs[1].files[0].with_suffix(".away"))
    assert place.predict() == ([], ["a", "c"], ["b"])
    assert place.written() == before
    assert place.listed() == ["a", "b", "c"]


def test_mask_of_an_input_that_is_another_one_and_broken_is_gone(place: Place) -> None:
    place.predict()
    place.inputs[1].files[0].write_bytes(b"no scan")
    assert place.predict() == ([], ["a", "c"], ["b"])
    assert sorted(path.name for path in place.out.glob("b.*")) == []
    assert place.listed() == ["a", "c"]


def test_earlier_record_that_was_lost_to_a_kill_is_made_from_the_sidecars(place: Place) -> None:
    place.predict("a")
    record = (place.out / "predictions.json").read_bytes()
    place.predict("b", "c")
    (place.out / "predictions.json").write_bytes(record)  # as if it had been killed since
    assert place.predict("a") == ([], ["a"], [])
    assert place.listed() == ["a", "b", "c"]


@pytest.mark.parametrize("what", ["weights", "labels", "choices"])
def test_other_model_or_choice_is_refused_and_nothing_touched(place: Place, build_card: CardBuilder, what: str) -> None:
    place.predict("a", choices={"sensitivity": 0.9})
    before, record = place.written(), (place.out / "predictions.json").read_bytes()
    choices = {"sensitivity": 0.8 if what == "choices" else 0.9}
    model = place.model
    if what == "labels":
        card = build_card(labels={"background": 0, "spleen": 3, "kidney": 7})
        model = Predictor(Steps(), card, device=CPU, precision="fp32")
    model.weights_digest = ("v" if what == "weights" else "w") * 64
    with pytest.raises(ConfigError, match=r"must be continued as it was begun, got .* choose another folder, or"):
        predict_cases(model, place.inputs, place.out, choices=choices)
    assert (place.written(), (place.out / "predictions.json").read_bytes()) == (before, record)


@pytest.mark.parametrize("name", ["notes.txt", "a.nii.gz", ".hidden", "a.json"])
def test_folder_of_something_else_is_refused_and_nothing_touched(place: Place, name: str) -> None:
    place.out.mkdir()
    (place.out / name).write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"must be new, empty or begun by medseg predict; choose another"):
        place.predict()
    assert [(path.name, path.read_text(encoding="utf-8")) for path in place.out.iterdir()] == [(name, "mine")]


def test_file_in_place_of_the_folder_is_refused(place: Place) -> None:
    place.out.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="must be new, empty or begun"):
        place.predict()


def test_masks_of_an_earlier_version_are_not_continued(place: Place) -> None:
    place.predict()
    path = place.out / "predictions.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, "settings": None}), encoding="utf-8")
    with pytest.raises(ConfigError, match="got an earlier one; choose another"):
        place.predict()


def test_temporary_files_that_a_kill_left_are_removed(place: Place) -> None:
    place.out.mkdir()
    (place.out / f".{'0' * 32}.part").write_text("half a record", encoding="utf-8")
    (place.out / f".{'1' * 32}.part.nii.gz").write_bytes(b"half a mask")
    assert place.predict("a") == (["a"], [], [])
    assert sorted(path.name for path in place.out.iterdir()) == ["a.json", "a.nii.gz", "predictions.json"]


def test_folder_that_another_prediction_writes_to_is_refused(place: Place) -> None:
    place.predict("a")
    before = place.written()
    with locked_folder(place.out), pytest.raises(DeliveryError, match=r"must not be in use.* wait for its end"):
        place.predict()
    assert place.written() == before
    assert place.predict() == (["b", "c"], ["a"], [])


def test_interrupted_prediction_records_the_mask_that_was_being_written(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing = threading.Event()
    real, draw = predict_cases.__globals__["CaseStages"].write, predict_cases.__globals__["CaseStages"].draw

    def slow(stages: Any, case: CaseInput, drawn: Any) -> Any:
        writing.set()
        threading.Event().wait(0.2)
        return real(stages, case, drawn)

    def stop(stages: Any, case: CaseInput, read: Any) -> Any:
        if case.case_id == "b":
            assert writing.wait(20)
            raise KeyboardInterrupt
        return draw(stages, case, read)

    with monkeypatch.context() as patch:
        patch.setattr("medseg.inference.segmentation.case_stages.CaseStages.write", slow)
        patch.setattr("medseg.inference.segmentation.case_stages.CaseStages.draw", stop)
        with pytest.raises(KeyboardInterrupt):
            place.predict()
    assert place.listed() == ["a"]
    assert sorted(path.name for path in place.out.iterdir()) == ["a.json", "a.nii.gz", "predictions.json"]
    assert place.predict() == (["b", "c"], ["a"], [])


def test_prediction_that_is_killed_again_and_again_gives_the_masks_of_one_that_is_not(tmp_path: Path) -> None:
    """Real SIGKILLs at random moments; see `killed_predictions.py`, which forks the predictions that it kills."""
    script = Path(__file__).with_name("killed_predictions.py")
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["killed"] == 8
    assert said["partial"] == []
    assert said["drawn_again"] == []
    assert said["kills_amid_the_work"] >= 3
    disturbed, whole = tmp_path / "killed", tmp_path / "whole"
    names = sorted(path.name for path in whole.glob("*.nii.gz"))
    assert len(names) == said["cases"]
    assert sorted(path.name for path in disturbed.iterdir()) == sorted(path.name for path in whole.iterdir())
    for name in names:
        assert (disturbed / name).read_bytes() == (whole / name).read_bytes()
    record = load_record(disturbed)
    assert record is not None
    assert [case.mask for case in record.cases] == names
