"""Scans that are sent are answered with the masks of `medseg predict`, and nothing of them stays."""

from __future__ import annotations

import base64
import io
import json
import logging
import stat
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.geometry import Geometry
from medseg.inference import find_inputs
from medseg.inference.classification import SlicePredictor, save_classifier_card
from medseg.inference.requests import RequestLimits
from medseg.inference.segmentation import Predictor, predict_cases
from medseg.networks import save_weights
from medseg.networks.classification import SliceClassifier
from medseg.scans import read_scan, write_scan

from tests.dicom_files import write_series
from tests.inference.classification.knowing import CPU, card_of
from tests.remedies.inference import model_run, write_image
from tests.runs.serving.running import Client, running, zipped

MOST_BYTES = 200_000
LIMITS = RequestLimits(most_bytes=MOST_BYTES, most_voxels=40**3, most_files=50)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serving")
    torch.manual_seed(11)  # weights that draw with little confidence
    model_run(folder / "mr")
    model_run(folder / "ct", channels=("CT",))
    return folder


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[Client]:
    models = {"mr": [place / "mr"], "ct": [place / "ct"]}
    with running(models, place / "work", limits=LIMITS, most_body_bytes=MOST_BYTES) as client:
        yield client
    assert list((place / "work").iterdir()) == []


@pytest.fixture(scope="module")
def scan(place: Path) -> Path:
    return write_image(place / "Meier_Anna.nii.gz")


def mask_by_predict(run: Path, scan: Path, out: Path) -> bytes:
    model = Predictor.load(run, device=CPU)
    (drawn,), _ = predict_cases(model, find_inputs([scan], channels=model.channels), out)
    return drawn.mask_path.read_bytes()


def test_answer_is_the_file_of_the_mask(client: Client, place: Path, scan: Path, tmp_path: Path) -> None:
    answer = client.predict(scan.read_bytes(), "?model=mr&name=Meier_Anna.nii.gz")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/gzip")
    assert answer.body == mask_by_predict(place / "mr", scan, tmp_path)
    assert answer.headers["content-disposition"] == 'attachment; filename="Meier_Anna.nii.gz"'
    assert answer.headers["x-medseg-flags"] == "confidence"
    assert list(json.loads(answer.headers["x-medseg-volumes-ml"])) == ["liver"]
    assert client.leftovers() == []


def test_zip_holds_the_mask_and_its_record(client: Client, scan: Path) -> None:
    mask = client.predict(scan.read_bytes(), "?model=mr").body
    answer = client.predict(scan.read_bytes(), "?model=mr&name=a.nii.gz&form=zip")
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.namelist() == ["a.nii.gz", "a.json"]
        assert archive.read("a.nii.gz") == mask
        record = json.loads(archive.read("a.json"))
    assert (record["case_id"], record["mask"], record["source"]["files"]) == ("a", "a.nii.gz", ["a.nii.gz"])
    assert [flag["kind"] for flag in record["flags"]] == ["confidence"]
    assert len(record["models"][0]["weights_digest"]) == 64


def test_json_holds_everything(client: Client, scan: Path) -> None:
    mask = client.predict(scan.read_bytes(), "?model=mr").body
    answer = client.predict(scan.read_bytes(), "?model=mr&form=json").json
    assert base64.b64decode(answer["mask_base64"]) == mask
    assert answer["labels"] == {"background": 0, "liver": 1}


def test_case_of_the_training_is_told(client: Client, scan: Path) -> None:
    known = client.predict(scan.read_bytes(), "?model=mr&name=seen.nii.gz&form=json").json
    assert known["in_training"] is True
    assert client.predict(scan.read_bytes(), "?model=mr&name=new.nii.gz&form=json").json["in_training"] is False


def test_zip_of_a_dicom_study_is_answered(client: Client, place: Path, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 500, size=(12, 14, 6)).astype(np.int16)
    write_series(array, Geometry(array.shape, np.diag([1.0, 1.0, 2.0, 1.0])), tmp_path / "study")
    files = {path.name: path.read_bytes() for path in sorted((tmp_path / "study").iterdir())}
    answer = client.predict(zipped(files), "?model=ct")
    assert answer.status == 200, answer.body
    assert answer.headers["content-disposition"] == 'attachment; filename="mask.nii.gz"'  # and no id of a patient
    assert answer.body == mask_by_predict(place / "ct", tmp_path / "study", tmp_path / "masks")


def test_classifier_answers_with_probabilities(tmp_path: Path) -> None:
    card = card_of()
    save_classifier_card(card, tmp_path / "run" / "model")
    save_weights(SliceClassifier(card.network).state_dict(), tmp_path / "run" / "model" / "last.safetensors")
    scan = write_image(tmp_path / "a.nii.gz")
    expected = SlicePredictor.load(tmp_path / "run", device=CPU).scores(read_scan(scan, case_id="a"), case_id="a")
    with running({"gate": [tmp_path / "run"]}, tmp_path / "work") as client:
        answer = client.predict(scan.read_bytes()).json
        assert client.ask("GET", "/models/gate").json["task"] == "classification"
    assert answer["classes"] == list(card.targets.classes)
    np.testing.assert_allclose(answer["slices"], expected.probabilities, rtol=1e-12)


def test_several_clients_get_their_own_masks(client: Client, place: Path, tmp_path: Path) -> None:
    scans = []
    for number in range(8):
        array = np.random.default_rng(number).normal(size=(1, 8, 9, 10)).astype(np.float32)
        path = tmp_path / f"{number}.nii.gz"
        write_scan(array, Geometry((8, 9, 10), np.diag([1.0 + number / 10, 1, 1, 1])), path)
        scans.append(path.read_bytes())
    alone = [client.predict(content, "?model=mr").body for content in scans]
    assert len(set(alone)) == len(scans)
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda content: client.predict(content, "?model=mr"), scans * 2))
    assert [one.status for one in together] == [200] * 16
    assert [one.body for one in together] == alone * 2


def linked_zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        link = zipfile.ZipInfo("a.nii")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return content.getvalue()


def displaced_zip() -> bytes:
    """A zip whose list is longer than all that stands before it."""
    content = bytearray(zipped({"a.nii": b"1234"}))
    end = content.rindex(b"PK\x05\x06")
    content[end + 12 : end + 16] = (end + 900).to_bytes(4, "little")
    return bytes(content)


BAD: dict[str, bytes] = {
    "no scan": b"torn",
    "a torn scan": b"\x1f\x8b\x08\x00" + bytes(200),
    "a torn zip": zipped({"1.dcm": b"1234"})[:40],
    "a zip of nothing": zipped({}),
    "a zip of a file before its begin": displaced_zip(),
    "a link": linked_zip(),
    "a zip that grows": zipped({"a.nii": bytes(MOST_BYTES + 1)}, zipfile.ZIP_DEFLATED),
    "a zip of many files": zipped({f"{number}.dcm": b"" for number in range(60)}),
    "a zip of deep folders": zipped({"a/" * 40 + "b.nii": b"1234"}),
    "a header that names a file": (
        b"NDims = 3\nDimSize = 1 1 1\nElementType = MET_UCHAR\nElementDataFile = /etc/passwd\n"
    ),
    "a manifest that names a file": zipped({
        "dataset.json": json.dumps({
            "name": "x", "channel_names": {"0": "MR"}, "labels": {"background": 0, "a": 1},
            "training": [{"image": "../../../../etc/passwd", "patient_id": "p", "case_id": "c"}],
        }).encode(),
    }),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_request_has_a_reason_without_a_path_of_the_server(client: Client, what: str) -> None:
    name = "&name=a.mha" if "header" in what else ""
    answer = client.predict(BAD[what], f"?model=mr{name}")
    assert answer.status == 422, answer.body
    assert answer.error["fact"]
    assert str(client.folder).encode() not in answer.body
    assert b"root:" not in answer.body
    assert client.leftovers() == []


def test_names_that_lead_out_of_a_zip_lead_into_it(client: Client, scan: Path, place: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (place, place.parent, place / "mr")}
    for name in ("../../../../evil.nii.gz", "/tmp/medseg_evil.nii.gz"):  # noqa: S108
        answer = client.predict(zipped({name: scan.read_bytes()}), "?model=mr")
        assert answer.status == 200, answer.body
    assert client.predict(scan.read_bytes(), "?model=mr&name=../../../../evil.nii.gz").status == 200
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert not Path("/tmp/medseg_evil.nii.gz").exists()  # noqa: S108
    assert client.leftovers() == []


def test_request_is_one_case_of_the_right_channels(client: Client, scan: Path, tmp_path: Path) -> None:
    two = client.predict(zipped({"a.nii.gz": scan.read_bytes(), "b.nii.gz": scan.read_bytes()}), "?model=mr")
    assert (two.status, two.error["fact"]) == (422, "a request must hold one case, got 2: a, b")
    wide = client.predict(write_image(tmp_path / "w.nii.gz", channels=2).read_bytes(), "?model=mr")
    assert wide.status == 422
    assert "channel" in wide.error["fact"]


def test_large_scan_is_refused_before_it_is_read(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    write_scan(np.zeros((1, 41, 41, 41), np.uint8), Geometry((41, 41, 41), np.eye(4)), path)
    answer = client.predict(path.read_bytes(), "?model=mr")
    assert (answer.status, answer.error["fact"].split(",")[0]) == (422, "a scan must have at most 64000 voxels")


def test_body_that_is_too_large_is_refused_whatever_it_promises(client: Client) -> None:
    pieces = (bytes(50_000) for _ in range(5))
    assert client.predict(bytes(MOST_BYTES + 1)).error["kind"] == "UnknownModel"
    for content in (bytes(MOST_BYTES + 1), islice(pieces, 5)):
        answer = client.predict(content, "?model=mr")
        assert (answer.status, answer.error["kind"]) == (413, "BodyTooLarge")
    assert client.predict(b"", "?model=mr").error["kind"] == "EmptyBody"
    assert client.leftovers() == []


def test_models_are_described_and_chosen_by_name(client: Client) -> None:
    assert [(one["name"], one["channels"], one["labels"]) for one in client.ask("GET", "/models").json] == [
        ("mr", ["MR"], {"background": 0, "liver": 1}),
        ("ct", ["CT"], {"background": 0, "liver": 1}),
    ]
    assert client.ask("GET", "/models/ct").json["limits"]["most_voxels"] == 40**3
    assert client.ask("GET", "/models/other").status == 404
    assert client.predict(b"x", "?model=other").error["remedy"] == "give its name as the parameter model"
    assert client.predict(b"x", "?model=mr&form=tiff").status == 400
    assert client.ask("GET", "/predict").status == 405


def test_description_names_every_route(client: Client) -> None:
    described = client.ask("GET", "/openapi.json").json
    assert set(described["paths"]) == {"/health", "/ready", "/models", "/models/{name}", "/metrics", "/predict"}
    predict = described["paths"]["/predict"]["post"]
    assert {one["name"] for one in predict["parameters"]} == {"model", "name", "form", "fast"}
    assert predict["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("ErrorBody")
    assert client.ask("GET", "/docs").status == 404  # which would load scripts from elsewhere


def test_log_and_counts_hold_no_name_of_a_scan(client: Client, scan: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "medseg.runs.serving"):
        answer = client.predict(scan.read_bytes(), "?model=mr&name=Meier_Anna.nii.gz")
        client.predict(b"torn", "?model=mr&name=Meier_Anna.nii.gz")
        client.ask("GET", "/Meier_Anna")
        counts = client.ask("GET", "/metrics").body.decode()
    assert answer.headers["x-medseg-request"] in caplog.text
    assert 'medseg_requests_total{route="/predict",status="200"}' in counts
    assert "medseg_requests_in_work 0" in counts
    assert "Meier" not in caplog.text + counts
