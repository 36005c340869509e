"""Requests are answered with the masks of `predict_cases`, and leave nothing behind."""

from __future__ import annotations

import base64
import io
import math
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.inference import CaseInput, find_inputs, load_record
from medseg.inference.nnunet import AdoptedModel
from medseg.inference.requests import RequestLimits, ScanRequest, only_case
from medseg.inference.segmentation import Predictor, predict_cases
from medseg.inference.segmentation.load_model import load_models
from medseg.inference.segmentation.serving import MaskAnswer, MaskService
from medseg.inference.segmentation.serving.network_size import check_network_size
from medseg.preprocess.nnunet import nnunet_grids
from medseg.runs.segmentation.adopt import AdoptSettings, adopt_model
from medseg.scans import read_grid, write_scan

from tests.dicom_files import write_series
from tests.inference.classification.knowing import CPU
from tests.inference.nnunet.models import scan_for, write_model
from tests.remedies.inference import model_run, write_image

SEED = 11  # of weights that draw with little confidence


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    torch.manual_seed(SEED)
    return Predictor.load(model_run(tmp_path_factory.mktemp("model")), device=CPU)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_image(tmp_path_factory.mktemp("scan") / "case_7.nii.gz")


def mask_of(answer: MaskAnswer) -> bytes:
    assert answer.mask is not None, answer.error
    return base64.b64decode(answer.mask)


def test_answer_is_the_mask_that_predict_writes(model: Predictor, image: Path, tmp_path: Path) -> None:
    (drawn,), _ = predict_cases(model, find_inputs([image], channels=model.channels), tmp_path / "masks")
    (answer,) = MaskService(model).answer([ScanRequest((image.read_bytes(),), image.name)])
    assert mask_of(answer) == drawn.mask_path.read_bytes()
    assert (answer.case, answer.file, answer.error) == ("case_7", "case_7.nii.gz", None)
    assert (answer.volumes_ml, answer.labels) == (drawn.volume_ml, {"background": 0, "liver": 1})
    record = load_record(tmp_path / "masks")
    assert record is not None
    assert answer.flags == record.cases[0].flags
    assert answer.flags is not None
    assert [flag.kind for flag in answer.flags] == ["confidence"]


def test_second_request_is_answered_as_the_first(
    model: Predictor, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    service, request = MaskService(model), ScanRequest((image.read_bytes(),), image.name)
    assert service.answer([request]) == service.answer([request])
    assert list(tmp_path.iterdir()) == []


def test_concurrent_requests_do_not_mix(model: Predictor, tmp_path: Path) -> None:
    service = MaskService(model)
    requests = []
    for number in range(6):
        path = write_image(tmp_path / f"{number}.nii.gz")
        requests.append(ScanRequest((path.read_bytes(),), f"{number}.nii.gz"))
    alone = [service.answer([request]) for request in requests]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(lambda request: service.answer([request]), requests)) == alone


def test_failed_scan_says_why_and_does_not_stop_the_others(model: Predictor, image: Path) -> None:
    requests = [ScanRequest((b"torn",), "a.nii.gz"), ScanRequest((image.read_bytes(),)), ScanError("no scan")]
    torn, drawn, refused = MaskService(model).answer(requests)
    assert torn.mask is None
    assert torn.error is not None
    assert torn.error.startswith("case a: ")
    assert drawn.error is None
    assert (refused.mask, refused.error) == (None, "no scan")


def test_one_request_is_one_case(model: Predictor, image: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in ("a.nii.gz", "b.nii.gz"):
            archive.write(image, name)
    (answer,) = MaskService(model).answer([ScanRequest((content.getvalue(),))])
    assert answer.error == "a request must hold one case, got 2: a, b; send each in a request or row of its own"


def test_many_cases_are_not_listed(model: Predictor, tmp_path: Path) -> None:
    for number in range(9):
        write_image(tmp_path / f"patient_{number}.nii.gz")
    (answer,) = MaskService(model, root=tmp_path).answer([ScanRequest(path=".")])
    assert answer.error is not None
    assert "got 9: patient_0, patient_1, patient_2, …; send each" in answer.error


def test_scan_beyond_the_limits_is_refused_and_the_others_are_drawn(
    model: Predictor, image: Path, tmp_path: Path
) -> None:
    count = math.prod(read_grid(image, case_id="a").geometry.shape)
    large = write_image(tmp_path / "large.nii.gz", channels=2)
    service = MaskService(model, limits=RequestLimits(most_voxels=count))
    refused, drawn = service.answer([ScanRequest((path.read_bytes(),), path.name) for path in (large, image)])
    assert (refused.case, refused.mask, drawn.error) == ("large", None, None)
    assert refused.error is not None
    assert refused.error.startswith(f"a scan must have at most {count} voxels, those of all channels together, got")


def test_small_scan_of_huge_voxels_is_refused_before_it_is_resampled(tmp_path: Path) -> None:
    model = Predictor.load(model_run(tmp_path / "run", preprocess=preprocess_to(1.5)), device=CPU)
    limits = RequestLimits(most_voxels=40**3)
    answers = []
    for spacing in (3.0, 9.0):  # 32 and 96 voxels of 1.5 mm along each axis
        path = tmp_path / f"{spacing:.0f}.nii.gz"
        write_scan(np.ones((1, 16, 16, 16), np.float32), Geometry((16, 16, 16), np.diag([spacing] * 3 + [1.0])), path)
        answers += MaskService(model, limits=limits).answer([ScanRequest((path.read_bytes(),), path.name)])
    assert answers[0].error is None
    assert answers[1].error == (
        f"a scan must have at most 64000 voxels on the grid of the network, got {96**3}; check the voxel size in its "
        "header, or send a smaller part of it"
    )


@pytest.mark.parametrize("kind", ["two_folds", "thick", "slices"])
def test_size_for_an_adopted_network_is_that_of_its_grid(kind: str, tmp_path: Path) -> None:
    run = adopt_model(write_model(kind, tmp_path), tmp_path / "run", AdoptSettings(precision="fp32")).folder
    model, scan = load_models([run], device=CPU), scan_for(kind)
    assert isinstance(model, AdoptedModel)
    whole = replace(scan, array=np.ones_like(scan.array))
    expected = math.prod(nnunet_grids(whole, model.card.preprocess).network.shape)
    write_scan(scan.array, scan.geometry, tmp_path / "a.nii.gz")
    case = CaseInput("a", (tmp_path / "a.nii.gz",))
    check_network_size(model, case, RequestLimits(most_voxels=expected))
    with pytest.raises(ScanError, match=f"on the grid of the network, got {expected}"):
        check_network_size(model, case, RequestLimits(most_voxels=expected - 1))


@pytest.mark.parametrize("error", [RuntimeError("in /srv/x"), MemoryError(), OSError(28, "No space left")])
def test_trouble_of_the_machine_does_not_stop_the_others(
    model: Predictor, image: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    from medseg.inference.segmentation.serving import mask_service

    def first_fails(place: Path, *, channels: tuple[str, ...], limits: RequestLimits) -> CaseInput:
        monkeypatch.setattr(mask_service, "only_case", only_case)
        raise error

    monkeypatch.setattr(mask_service, "only_case", first_fails)
    failed, drawn = MaskService(model).answer([ScanRequest((image.read_bytes(),), image.name)] * 2)
    assert failed.error in {"RuntimeError", "MemoryError", "No space left"}
    assert drawn.error is None


def test_dicom_study_is_sent_as_a_zip(tmp_path: Path) -> None:
    model = Predictor.load(model_run(tmp_path / "run", channels=("CT",)), device=CPU)
    array = np.random.default_rng(0).integers(0, 500, size=(12, 14, 6)).astype(np.int16)
    write_series(array, Geometry(array.shape, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "study")
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted((tmp_path / "study").iterdir()):
            archive.write(path, path.name)
    (answer,) = MaskService(model).answer([ScanRequest((content.getvalue(),), "study.zip")])
    (drawn,), _ = predict_cases(model, find_inputs([tmp_path / "study"], channels=model.channels), tmp_path / "masks")
    assert mask_of(answer) == drawn.mask_path.read_bytes()


def test_error_names_no_folder_of_the_machine(model: Predictor) -> None:
    answers = MaskService(model).answer(
        [ScanRequest((b"torn",), name) for name in ("a.nii", "a.nrrd", "a.dcm", "a.png")]
    )
    assert [answer.error for answer in answers if tempfile.gettempdir() in str(answer.error)] == []
    assert all(answer.error for answer in answers)


def test_request_for_speed_is_that_of_the_faster_model(model: Predictor, tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.nii.gz")
    (answer,) = MaskService(model).answer([ScanRequest((path.read_bytes(),), path.name)], fast=True)
    (drawn,), _ = predict_cases(model.faster(), find_inputs([path], channels=model.channels), tmp_path / "masks")
    assert mask_of(answer) == drawn.mask_path.read_bytes()


def test_several_channels_are_sent_as_a_list(tmp_path: Path) -> None:
    model = Predictor.load(model_run(tmp_path / "run", channels=("T1", "T2"), **_two_channels()), device=CPU)
    parts = tuple(write_image(tmp_path / name).read_bytes() for name in ("a.nii.gz", "b.nii.gz"))
    answer, lacking = MaskService(model).answer([ScanRequest(parts, "p.nii.gz"), ScanRequest(parts[:1], "p.nii.gz")])
    assert np.frombuffer(mask_of(answer), np.uint8).size
    assert answer.case == "p"
    assert lacking.error is not None


def preprocess_to(spacing_mm: float) -> object:
    from medseg.preprocess import ChannelNormalisation, PreprocessConfig

    return PreprocessConfig(
        axcodes="RAS", spacing_mm=(spacing_mm,) * 3, normalisation=(ChannelNormalisation(kind="none"),)
    )


def _two_channels() -> dict[str, object]:
    from medseg.preprocess import ChannelNormalisation, PreprocessConfig

    return {"preprocess": PreprocessConfig(axcodes="RAS", normalisation=(ChannelNormalisation(kind="none"),) * 2)}
