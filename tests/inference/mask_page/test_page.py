"""`index.html` of a folder of masks, as predict writes it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from medseg.errors import DeliveryError
from medseg.inference import CaseInput, find_inputs, load_record
from medseg.inference.case_record import CaseRecord, FailureRecord, QualityRecord
from medseg.inference.flag_record import FlagRecord
from medseg.inference.mask_page import mask_page, picture_path, reading_order
from medseg.inference.record import PredictionRecord
from medseg.inference.segmentation import predict_cases
from medseg.inference.segmentation.load_model import load_models

from tests.remedies.inference import model_run, write_image

CPU = torch.device("cpu")


def case_of(case_id: str, **changes: Any) -> CaseRecord:
    fields: dict[str, Any] = {"mask": f"{case_id}.nii.gz", "volume_ml": {"liver": 12.5}, "in_training": False}
    return CaseRecord(case_id=case_id, **{"seconds": 1.0, "peak_memory_bytes": 1} | fields | changes)


def record_of(*cases: CaseRecord, labels: dict[str, int] | None = None, **more: Any) -> PredictionRecord:
    return PredictionRecord(
        cases=cases,
        failures=more.pop("failures", ()),
        labels=labels or {"background": 0, "liver": 1},
        models=(),
        **more,
    )


def predicted(out: Path, *inputs: Path, run: Path) -> tuple[list[Any], list[Any]]:
    model = load_models([run], weights="last", device=CPU)
    found = find_inputs(list(inputs), channels=model.channels)
    return predict_cases(model, found, out, has_page=True)


def names(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def test_predicted_folder_has_a_page_with_a_picture_of_each_case(tmp_path: Path) -> None:
    scans = [write_image(tmp_path / "in" / f"{name}.nii.gz") for name in ("x", "y")]
    predicted(tmp_path / "out", *scans, run=model_run(tmp_path / "run"))
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert sorted(re.findall(r'<img src="([^"]*)"', page)) == ["pictures/x.png", "pictures/y.png"]
    assert names(tmp_path / "out") == {
        "index.html", "predictions.json", "x.json", "x.nii.gz", "y.json", "y.nii.gz", "pictures/x.png",
        "pictures/y.png",
    }  # fmt: skip
    record = load_record(tmp_path / "out")
    assert record is not None
    for case in record.cases:
        volume = case.volume_ml["liver"]
        assert (f"{volume:.4g} ml" if volume else "not found: liver") in page


def test_continued_folder_keeps_pictures_and_lists_all_cases(tmp_path: Path) -> None:
    scans = [write_image(tmp_path / "in" / f"{name}.nii.gz") for name in ("x", "y")]
    run, out = model_run(tmp_path / "run"), tmp_path / "out"
    predicted(out, scans[0], run=run)
    stamp = picture_path(out, "x").stat().st_mtime_ns
    _, failures = predicted(out, *scans, run=run)
    assert not failures
    assert picture_path(out, "x").stat().st_mtime_ns == stamp
    assert (out / "index.html").read_text(encoding="utf-8").count("<img ") == 2


def test_picture_of_another_input_goes_with_its_mask(tmp_path: Path) -> None:
    scan, run, out = write_image(tmp_path / "in" / "x.nii.gz"), model_run(tmp_path / "run"), tmp_path / "out"
    predicted(out, scan, run=run)
    scan.write_bytes(b"torn")
    case = CaseInput("x", (scan,))
    model = load_models([run], weights="last", device=CPU)
    predict_cases(model, [case], out, has_page=True)
    assert names(out) == {"index.html", "predictions.json"}
    assert "1 case without a mask" in (out / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["take_preview", "draw_preview"])
def test_picture_that_cannot_be_drawn_costs_no_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    def fail(*arguments: object) -> None:
        raise MemoryError("no memory for a picture")

    monkeypatch.setattr(f"medseg.inference.segmentation.case_stages.{name}", fail)
    scan = write_image(tmp_path / "in" / "x.nii.gz")
    predictions, failures = predicted(tmp_path / "out", scan, run=model_run(tmp_path / "run"))
    assert ([one.case_id for one in predictions], failures) == (["x"], [])
    assert "case x: no picture of it is drawn" in caplog.text
    assert "No picture." in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_page_that_cannot_be_written_is_a_failure_and_the_masks_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise DeliveryError("index.html: must be writable, got: the disk is full")

    monkeypatch.setattr("medseg.inference.growing_record.save_mask_page", fail)
    scan = write_image(tmp_path / "in" / "x.nii.gz")
    predictions, failures = predicted(tmp_path / "out", scan, run=model_run(tmp_path / "run"))
    assert [one.case_id for one in predictions] == ["x"]
    assert "index.html: must be writable" in failures[0].reason


def test_interrupted_prediction_without_a_mask_leaves_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object, **more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("medseg.inference.segmentation.case_stages.read_input", stop)
    scan, run = write_image(tmp_path / "in" / "x.nii.gz"), model_run(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        predicted(tmp_path / "out", scan, run=run)
    assert not list((tmp_path / "out").iterdir())


def test_pictures_of_masks_are_no_scans(tmp_path: Path) -> None:
    scan = write_image(tmp_path / "study" / "x.nii.gz")
    predicted(tmp_path / "study" / "masks", scan, run=model_run(tmp_path / "run"))
    found = find_inputs([tmp_path / "study"], channels=("MR",))
    assert [case.case_id for case in found.cases] == ["x"]


def test_flagged_and_doubtful_masks_come_first() -> None:
    flag = FlagRecord(kind="parts", reason="liver: 4 parts")
    wrong = QualityRecord(disagreement=0.4, longest_run=3, limit=0.1, is_flagged=True, reason="slice 3")
    cases = [
        case_of("sure", confidence={"liver": 0.9}),
        case_of("unsure", confidence={"liver": 0.4}),
        case_of("disputed", disagreement={"liver": 0.3}),
        case_of("flagged", flags=(flag,)),
        case_of("twice", flags=(flag,), quality=wrong),
        case_of("plain"),
    ]
    order = [case.case_id for case in reading_order(cases)]
    assert order == ["twice", "flagged", "disputed", "unsure", "sure", "plain"]


def test_names_from_outside_stay_text() -> None:
    bad = "<script>alert(1)</script>"
    case = case_of("a&b", volume_ml={bad: 1.0}, flags=(FlagRecord(kind="parts", reason=bad),))
    failures = (FailureRecord(case_id=bad, stage="read", reason=bad),)
    page = mask_page(record_of(case, labels={"background": 0, bad: 1}, failures=failures), pictures={"a&b"})
    assert bad not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 4
    assert 'src="pictures/a%26b.png"' in page


def test_many_structures_and_flags_are_folded() -> None:
    names_of = [f"organ {n}" for n in range(118)]
    flags = tuple(FlagRecord(kind="volume", structure=name, reason=f"{name}: small") for name in names_of)
    volumes = {name: float(n) for n, name in enumerate(names_of)}
    labels = {"background": 0, **{name: n + 1 for n, name in enumerate(names_of)}}
    page = mask_page(record_of(case_of("a", volume_ml=volumes, flags=flags), labels=labels), pictures=set())
    assert "<summary>109 smaller structures</summary>" in page
    assert "<summary>113 more flags</summary>" in page
    assert "not found: organ 0" in page


def test_page_of_thousands_of_cases_stays_small() -> None:
    page = mask_page(record_of(*(case_of(f"case_{n:05d}") for n in range(3000))), pictures=set())
    assert len(page) < 3e6
    assert page.count("<article") == 3000


def test_pictures_are_measured_in_pixels() -> None:
    page = mask_page(record_of(case_of("x", mask="x.png", volume_ml={"liver": 5.262})), pictures=set())
    assert "5,262 pixels" in page
    assert " ml" not in page
