"""Folders of masks, and the record of what went into them."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from medseg import __version__
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.inference import CaseInput, ModelCost, load_record
from medseg.inference.inputs import FoundInputs, PassedOver, RefusedInput
from medseg.inference.segmentation import InferenceConfig, ModelCard, Predictor, predict_cases
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.records import Array
from medseg.scans import read_label, write_scan
from PIL import Image
from torch import Tensor, nn

CardBuilder = Callable[..., ModelCard]


class Steps(nn.Module):
    """Knows the answer: the class of a voxel is the intensity of the last channel, rounded."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([-20 * (x[:, -1:] - value).abs() for value in range(3)], dim=1)


class Hungry(nn.Module):
    """Runs out of memory on bright scans."""

    def forward(self, x: Tensor) -> Tensor:
        if x.max() > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return Steps()(x)


def predictor(card: ModelCard, network: nn.Module | None = None) -> Predictor:
    return Predictor(network or Steps(), card, device=torch.device("cpu"), precision="fp32")


def blocks(shape: tuple[int, int, int]) -> Array:
    """A scan with a box of intensity 1 of 4·3·2 voxels and one of intensity 2 of 2·2·2."""
    array = np.zeros(shape, np.float32)
    array[1:5, 2:5, 3:5] = 1
    array[7:9, 7:9, 6:8] = 2
    return array


@pytest.fixture
def scan(oblique: Geometry, tmp_path: Path) -> Path:
    path = tmp_path / "in" / "seen.nii.gz"
    write_scan(blocks(oblique.shape)[None], oblique, path)
    return path


def test_mask_lies_on_the_scan_s_grid_with_the_label_values(
    build_card: CardBuilder, oblique: Geometry, scan: Path, tmp_path: Path
) -> None:
    (prediction,), failures = predict_cases(predictor(build_card()), [CaseInput("seen", (scan,))], tmp_path / "out")
    assert failures == []
    assert prediction.mask_path == tmp_path / "out" / "seen.nii.gz"
    mask, geometry = read_label(prediction.mask_path, case_id="seen")
    assert geometry.is_close(oblique, tolerance_mm=1e-4)
    np.testing.assert_array_equal(mask, np.array([0, 3, 7])[blocks(oblique.shape).astype(int)])
    stored = nibabel.load(prediction.mask_path)
    assert stored.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(stored.affine, nibabel.load(scan).affine)


def test_sidecar_holds_label_names_and_volumes(build_card: CardBuilder, scan: Path, tmp_path: Path) -> None:
    (prediction,), _ = predict_cases(predictor(build_card()), [CaseInput("seen", (scan,))], tmp_path / "out")
    sidecar = json.loads((tmp_path / "out" / "seen.json").read_text(encoding="utf-8"))
    voxel_ml = 3.0 * 1.5 * 2.0 / 1000
    assert sidecar["labels"] == {"background": 0, "spleen": 3, "liver": 7}
    assert sidecar["volume_ml"] == pytest.approx({"spleen": 24 * voxel_ml, "liver": 8 * voxel_ml})
    assert prediction.volume_ml == sidecar["volume_ml"]


def test_volumes_have_five_significant_digits(build_card: CardBuilder, tmp_path: Path) -> None:
    geometry = Geometry((13, 18, 9), np.diag([0.7, 0.7, 0.7, 1.0]))
    write_scan(blocks(geometry.shape)[None], geometry, tmp_path / "a.nii.gz")
    (prediction,), _ = predict_cases(
        predictor(build_card()), [CaseInput("a", (tmp_path / "a.nii.gz",))], tmp_path / "out"
    )
    assert prediction.volume_ml == {"spleen": 0.008232, "liver": 0.002744}  # 24 and 8 times 0.343 microlitres
    assert json.loads((tmp_path / "out" / "a.json").read_text(encoding="utf-8"))["volume_ml"] == prediction.volume_ml


def test_results_stand_before_the_long_list_of_training_cases(
    build_card: CardBuilder, scan: Path, tmp_path: Path
) -> None:
    predict_cases(predictor(build_card()), [CaseInput("seen", (scan,))], tmp_path / "out")
    record = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))
    assert list(record)[:5] == ["software", "date", "device", "cases", "failures"]
    assert list(record)[-1] == "models"
    assert list(record["models"][0])[-1] == "trained_on"
    assert list(record["cases"][0])[:3] == ["case_id", "mask", "volume_ml"]


def test_record_lists_what_was_refused_and_passed_over_among_the_inputs(
    build_card: CardBuilder, scan: Path, tmp_path: Path
) -> None:
    refused = RefusedInput("series_4", ScanError("slices must be evenly spaced", remedy="export it again"))
    found = FoundInputs((CaseInput("seen", (scan,)),), (PassedOver("notes.txt", "no scan"),), (refused,))
    predictions, (failure,) = predict_cases(predictor(build_card()), found, tmp_path / "out")
    record = load_record(tmp_path / "out")
    assert record is not None
    assert [one.case_id for one in predictions] == [case.case_id for case in record.cases] == ["seen"]
    assert [(one.path, one.reason) for one in record.passed_over] == [("notes.txt", "no scan")]
    assert [(one.case_id, one.reason) for one in record.failures] == [("series_4", failure.reason)]
    assert failure.reason == "case series_4: slices must be evenly spaced; export it again"


def test_bad_cases_are_recorded_and_the_others_go_on(
    build_card: CardBuilder, oblique: Geometry, scan: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "in" / "damaged.nii.gz"
    damaged.write_bytes(scan.read_bytes()[:200])
    bright = tmp_path / "in" / "bright.nii.gz"
    write_scan(np.full((1, *oblique.shape), 9, np.float32), oblique, bright)
    inputs = [
        CaseInput("damaged", (damaged,)),
        CaseInput("missing", (tmp_path / "in" / "missing.nii.gz",)),
        CaseInput("bright", (bright,)),
        CaseInput("seen", (scan,)),
    ]
    done: list[str] = []
    predictions, failures = predict_cases(
        predictor(build_card(), Hungry()), inputs, tmp_path / "out", on_done=done.append
    )
    record = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))
    assert [item.case_id for item in predictions] == ["seen"]
    assert [(item.case_id, item.stage) for item in failures] == [
        ("damaged", "predict"),
        ("missing", "predict"),
        ("bright", "predict"),
    ]
    assert done == ["damaged", "missing", "bright", "seen"]
    assert [case["case_id"] for case in record["cases"]] == ["seen"]
    reasons = {item["case_id"]: item["reason"] for item in record["failures"]}
    assert "must be a whole NIfTI file" in reasons["damaged"]
    assert "must exist" in reasons["missing"]
    assert "out of memory" in reasons["bright"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "predictions.json",
        "seen.json",
        "seen.nii.gz",
    ]


def test_wrong_number_of_channels_is_said_with_their_names(build_card: CardBuilder, scan: Path, tmp_path: Path) -> None:
    card = build_card(channels=("T1", "FLAIR"))
    _, (failure,) = predict_cases(predictor(card), [CaseInput("a", (scan,))], tmp_path / "out")
    assert "case a: image must have the model's 2 channels (T1, FLAIR), got 1" in failure.reason


def test_channels_are_stacked_in_the_order_of_the_files(
    build_card: CardBuilder, oblique: Geometry, scan: Path, tmp_path: Path
) -> None:
    other = tmp_path / "in" / "other.nii.gz"
    write_scan(np.zeros((1, *oblique.shape), np.float32), oblique, other)
    none = ChannelNormalisation(kind="none")
    card = build_card(channels=("T1", "T2"), preprocess=PreprocessConfig(axcodes="RAS", normalisation=(none, none)))
    inputs = [CaseInput("last", (other, scan)), CaseInput("first", (scan, other))]
    predictions, _ = predict_cases(predictor(card), inputs, tmp_path / "out")
    drawn = [bool(read_label(item.mask_path, case_id=item.case_id)[0].any()) for item in predictions]
    assert drawn == [True, False]


def test_cases_that_the_network_was_trained_on_are_marked(build_card: CardBuilder, scan: Path, tmp_path: Path) -> None:
    inputs = [CaseInput("seen", (scan,)), CaseInput("new", (scan,))]
    predictions, _ = predict_cases(predictor(build_card()), inputs, tmp_path / "out")
    assert [item.in_training for item in predictions] == [True, False]
    record = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))
    assert {case["case_id"]: case["in_training"] for case in record["cases"]} == {"seen": True, "new": False}


def test_record_says_which_model_drew_the_masks(build_card: CardBuilder, scan: Path, tmp_path: Path) -> None:
    cost = ModelCost(parameters=5, multiply_adds_per_window=None, training_s=60.0, steps=7, device="CPU")
    drawing = predictor(build_card(mlflow_run_id="r" * 32, cost=cost))
    drawing.weights, drawing.weights_digest = "last", "w" * 64
    predict_cases(drawing, [CaseInput("seen", (scan,))], tmp_path / "out")
    record = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))
    expected = {
        "dataset": "made up 1",
        "manifest_digest": "m" * 64,
        "plan_digest": "p" * 64,
        "run_id": "r" * 32,
        "weights": "last",
        "weights_digest": "w" * 64,
        "medseg_version": "0.1.0",
    }
    assert record["models"] == [expected | {"cost": cost.model_dump(mode="json"), "trained_on": ["seen"]}]
    sidecar = json.loads((tmp_path / "out" / "seen.json").read_text(encoding="utf-8"))
    assert sidecar["models"] == [expected]
    for content in (record, sidecar):
        assert content["software"] == f"medseg {__version__}, research software, not a medical device"
        assert content["device"] == "CPU with 1 thread (x86_64)".replace("x86_64", platform.machine())
        assert abs(datetime.now(UTC) - datetime.fromisoformat(content["date"])) < timedelta(minutes=5)
    assert record["labels"] == {"background": 0, "spleen": 3, "liver": 7}
    (case,) = record["cases"]
    assert case["mask"] == "seen.nii.gz"
    assert case["seconds"] > 0
    assert case["peak_memory_bytes"] > 2**20
    assert str(tmp_path) not in json.dumps(record)


def test_picture_gets_a_png_mask_with_the_label_values(build_card: CardBuilder, tmp_path: Path) -> None:
    pixels = np.zeros((10, 14), np.uint8)  # rows, columns
    pixels[2:5, 1:9] = 2
    Image.fromarray(pixels).save(tmp_path / "skin.png")
    card = build_card(
        preprocess=PreprocessConfig(axcodes=None, normalisation=(ChannelNormalisation(kind="none"),)),
        inference=InferenceConfig(patch_size=(8, 8, 1)),
    )
    predict_cases(predictor(card), [CaseInput("skin", (tmp_path / "skin.png",))], tmp_path / "out")
    with Image.open(tmp_path / "out" / "skin.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), np.where(pixels == 2, 7, 0))


def test_no_pickles_are_left_anywhere(build_card: CardBuilder, scan: Path, tmp_path: Path) -> None:
    predict_cases(predictor(build_card()), [CaseInput("seen", (scan,))], tmp_path / "out")
    assert {"".join(path.suffixes) for path in (tmp_path / "out").rglob("*")} == {".nii.gz", ".json"}


def test_case_that_would_overwrite_the_record_is_a_failure(build_card: CardBuilder, scan: Path, tmp_path: Path) -> None:
    inputs = [CaseInput("predictions", (scan,)), CaseInput("seen", (scan,))]
    predictions, (failure,) = predict_cases(predictor(build_card()), inputs, tmp_path / "out")
    assert [item.case_id for item in predictions] == ["seen"]
    assert "case predictions: the name must not be that of predictions.json; rename the scan" in failure.reason


def test_interrupted_prediction_leaves_a_record_of_what_it_delivered(
    build_card: CardBuilder, scan: Path, tmp_path: Path
) -> None:
    def stop(case_id: str) -> None:
        if case_id == "second":
            raise KeyboardInterrupt

    inputs = [CaseInput(name, (scan,)) for name in ("seen", "second", "third")]
    with pytest.raises(KeyboardInterrupt):
        predict_cases(predictor(build_card()), inputs, tmp_path / "out", on_done=stop)
    record = load_record(tmp_path / "out")
    assert record is not None
    assert [case.case_id for case in record.cases] == ["seen", "second"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == ["second.nii.gz", "seen.nii.gz"]


def test_prediction_that_is_killed_has_listed_its_first_case(
    build_card: CardBuilder, scan: Path, tmp_path: Path
) -> None:
    listed: list[int] = []

    def count(case_id: str) -> None:
        record = load_record(tmp_path / "out")
        listed.append(len(record.cases) if record else 0)

    inputs = [CaseInput(name, (scan,)) for name in ("seen", "second")]
    predict_cases(predictor(build_card()), inputs, tmp_path / "out", on_done=count)
    assert listed[0] == 1


def test_prediction_that_is_stopped_before_its_first_case_leaves_its_folder_empty(
    build_card: CardBuilder, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Predictor, scan: object, **choices: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "prepare", stop)
    with pytest.raises(KeyboardInterrupt):
        predict_cases(predictor(build_card()), [CaseInput("seen", (scan,))], tmp_path / "out")
    assert not (tmp_path / "out" / "predictions.json").exists()


@pytest.mark.parametrize("name", ["\u809d\u810f", "ca\udce9f\udcff", "l\u00f6ber [2] (a)"])
def test_name_that_is_no_text_everywhere_is_in_a_record_that_is_utf_8(
    build_card: CardBuilder, scan: Path, tmp_path: Path, name: str
) -> None:
    named = tmp_path / "in" / f"{name}.nii.gz"
    scan.rename(named)
    (prediction,), failures = predict_cases(predictor(build_card()), [CaseInput(name, (named,))], tmp_path / "out")
    assert failures == []
    assert prediction.mask_path == tmp_path / "out" / f"{name}.nii.gz"
    text = (tmp_path / "out" / "predictions.json").read_bytes().decode("utf-8")
    (case,) = json.loads(text)["cases"]
    assert (case["case_id"], case["mask"]) == (name, f"{name}.nii.gz")
    assert load_record(tmp_path / "out") is not None


@pytest.mark.parametrize(
    ("length", "ending", "said"), [(248, ".nii.gz", ""), (249, ".nii", "got 256; shorten the name")]
)
def test_name_of_a_scan_may_be_as_long_as_that_of_its_mask_allows(
    build_card: CardBuilder, oblique: Geometry, tmp_path: Path, length: int, ending: str, said: str
) -> None:
    name = "a" * length
    write_scan(blocks(oblique.shape)[None], oblique, tmp_path / f"a{ending}")
    (tmp_path / f"a{ending}").rename(tmp_path / f"{name}{ending}")
    inputs = [CaseInput(name, (tmp_path / f"{name}{ending}",))]
    predictions, failures = predict_cases(predictor(build_card()), inputs, tmp_path / "out")
    assert [item.case_id for item in predictions] == ([] if said else [name])
    assert [(item.case_id, said in item.reason) for item in failures] == ([(name, True)] if said else [])
