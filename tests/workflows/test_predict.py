"""`medseg predict` on the command line: which places are models, and what is said at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import pytest
from medseg.atomic import write_json
from medseg.inference.case_record import CaseRecord
from medseg.inference.flag_record import FlagRecord
from medseg.inference.inputs import PassedOver
from medseg.records import Failure, Prediction
from medseg.runs.segmentation.predict import PredictResult
from medseg.workflows.mask_summary import echo_masks
from medseg.workflows.options import runs_and_inputs

from tests.conftest import Medseg
from tests.remedies.inference import model_run, write_image


class Place(NamedTuple):
    """Two runs and two scans."""

    runs: list[Path]
    scans: list[Path]
    out: Path


@pytest.fixture
def place(tmp_path: Path) -> Place:
    runs = [model_run(tmp_path / name) for name in ("run_a", "run_b")]
    scans = [write_image(tmp_path / "scans" / f"{name}.nii.gz") for name in ("x", "y")]
    return Place(runs, scans, tmp_path / "masks")


def test_leading_models_are_runs_and_the_rest_inputs(place: Place) -> None:
    assert runs_and_inputs((*place.runs, *place.scans)) == (place.runs, place.scans)
    address = "models:/livers@clinical"
    assert runs_and_inputs((address, *place.runs, place.scans[0])) == ([address, *place.runs], place.scans[:1])


def test_first_place_is_a_run_whatever_it_holds(place: Place) -> None:
    assert runs_and_inputs(tuple(place.scans)) == (place.scans[:1], place.scans[1:])


def test_model_after_an_input_is_a_usage_error(medseg: Medseg, place: Place) -> None:
    outcome = medseg("predict", place.runs[0], place.scans[0], place.runs[1], "--out", place.out)
    assert outcome.code == 2
    assert f"run_b is a model, but stands after the input {place.scans[0]}; give all models first" in " ".join(
        outcome.err.split()
    )
    assert not place.out.exists()


@pytest.mark.parametrize("runs", [1, 2])
def test_no_input_is_a_usage_error(medseg: Medseg, place: Place, runs: int) -> None:
    outcome = medseg("predict", *place.runs[:runs], "--out", place.out)
    assert outcome.code == 2
    assert "Missing argument 'INPUT...'" in outcome.err


def test_run_that_does_not_exist_is_a_usage_error(medseg: Medseg, place: Place) -> None:
    outcome = medseg("predict", place.out, place.scans[0], "--out", place.out)
    assert outcome.code == 2
    assert "does not exist" in outcome.err


def test_second_run_into_the_folder_says_what_it_keeps(medseg: Medseg, place: Place) -> None:
    first = medseg("predict", place.runs[0], place.scans[0], "--out", place.out, "--device", "cpu")
    assert first.code == 0
    assert "1 mask(s) in" in first.out
    assert "kept" not in first.out
    second = medseg("predict", place.runs[0], *place.scans, "--out", place.out, "--device", "cpu")
    assert second.code == 0
    assert "2 mask(s) in" in second.out
    assert "1 of 2 masks were finished before and are kept" in second.out


def test_other_weights_into_the_folder_are_refused(medseg: Medseg, place: Place) -> None:
    medseg("predict", place.runs[0], *place.scans, "--out", place.out, "--device", "cpu")
    before = {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()}
    other = medseg("predict", place.runs[1], *place.scans, "--out", place.out, "--device", "cpu")
    assert other.code == 2
    assert "must be continued as it was begun, got another model" in other.err
    assert {path: path.read_bytes() for path in place.out.rglob("*") if path.is_file()} == before


def test_record_tells_the_files_of_each_case(medseg: Medseg, place: Place) -> None:
    medseg("predict", place.runs[0], place.scans[0].parent, "--out", place.out, "--device", "cpu")
    record = json.loads((place.out / "predictions.json").read_text(encoding="utf-8"))
    assert [len(case["source"]["sha256"]) for case in record["cases"]] == [64, 64]
    assert set(record["settings"]["choices"]) == {"model.json"}


def test_summary_is_short_however_much_there_is_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    fields = {"volume_ml": {}, "in_training": False, "seconds": 1.0, "peak_memory_bytes": 1}
    flags = tuple(FlagRecord(kind="parts", structure="s", reason=f"reason {number}") for number in range(23))
    failures = tuple(Failure(f"c{number}", "predict", f"case c{number}: torn") for number in range(195))
    passed = (*(PassedOver(f"{number}/RS.dcm", "a label") for number in range(300)), PassedOver("x.zip", "an archive"))
    case = CaseRecord(case_id="x", mask="x.nii.gz", flags=flags, **fields)
    with pytest.raises(SystemExit):
        echo_masks(PredictResult(Path("masks"), (), failures, (), cases=(case,), passed_over=passed))
    told = capsys.readouterr()
    assert "flagged: x: reason 0; reason 1; and 21 more\n" in told.out
    assert "passed over: 300 such as 0/RS.dcm: a label\npassed over: x.zip: an archive\n" in told.out
    lines = told.err.splitlines()
    assert lines[9:] == [
        "failed: case c9: torn",
        "failed: and 185 more; see masks/predictions.json",
        "195 case(s) failed; the others are done",
    ]


def test_summary_names_masks_that_a_person_changed(capsys: pytest.CaptureFixture[str]) -> None:
    kept = tuple(
        Prediction(name, Path(f"{name}.nii.gz"), 1.0, 1, is_kept=True, is_edited=name != "a") for name in "abcd"
    )
    echo_masks(PredictResult(Path("masks"), kept, (), ()))
    told = capsys.readouterr().out
    assert "4 of 4 masks were finished before and are kept\n" in told
    assert "3 of them as a person changed them: b, c, and 1 more; move one away to have it drawn again\n" in told


def test_changed_settings_in_the_card_are_another_choice(medseg: Medseg, place: Place) -> None:
    call = ("predict", place.runs[0], place.scans[0], "--out", place.out, "--device", "cpu")
    assert medseg(*call).code == 0
    card = place.runs[0] / "model" / "model.json"
    content = json.loads(card.read_text(encoding="utf-8"))
    content["inference"]["mirror_axes"] = [0]
    card.write_text(json.dumps(content), encoding="utf-8")
    again = medseg(*call)
    assert again.code == 2
    assert "got another choice of model.json" in again.err


@pytest.mark.parametrize("place_of", ["first", "second", "last"])
def test_slice_classifier_among_the_places_is_a_usage_error(medseg: Medseg, place: Place, place_of: str) -> None:
    classifier = place.out.with_name("classifier")
    write_json(classifier / "model" / "classifier.json", {})
    places = [place.runs[0], place.scans[0]]
    places.insert({"first": 0, "second": 1, "last": 2}[place_of], classifier)
    outcome = medseg("predict", *places, "--out", place.out)
    assert outcome.code == 2
    assert "is a slice classifier, which draws no masks" in " ".join(outcome.err.split())
    assert not place.out.exists()


def test_summary_names_flagged_masks_and_what_was_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    fields = {"volume_ml": {}, "in_training": False, "seconds": 1.0, "peak_memory_bytes": 1}
    flags = tuple(
        FlagRecord(kind="volume", structure="liver", reason=reason) for reason in ("liver of 3 ml", "liver is cut")
    )
    cases = (
        CaseRecord(case_id="x", mask="x.nii.gz", flags=flags, **fields),
        CaseRecord(case_id="y", mask="y.nii.gz", **fields),
    )
    passed = tuple(PassedOver(f"notes_{number}.txt", "no scan") for number in range(12))
    echo_masks(PredictResult(Path("masks"), (), (), (), cases=cases, passed_over=passed, seconds=2.0))
    told = capsys.readouterr().out
    assert "flagged: x: liver of 3 ml; liver is cut\n1 of 2 mask(s) flagged for review\n" in told
    assert "passed over: 12 such as notes_0.txt: no scan\n" in told
