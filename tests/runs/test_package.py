"""Packages hold what runs draw, for programs that know nothing of medseg."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import medseg
import mlflow
import numpy as np
import pandas
import pytest
import torch
from medseg.errors import CheckpointError, ConfigError, DeliveryError
from medseg.geometry import Geometry
from medseg.inference.requests import RequestLimits
from medseg.inference.segmentation import load_card
from medseg.inference.segmentation.load_model import load_models
from medseg.inference.segmentation.package_card import load_package_card
from medseg.inference.segmentation.postprocess import Postprocessing, StructureRule
from medseg.runs.segmentation.adopt import AdoptSettings, adopt_model
from medseg.runs.segmentation.package import PackageSettings, package_models
from medseg.runs.segmentation.package_models import read_members, write_members
from medseg.scans import read_scan, write_scan
from medseg.tracking.servable import example_of

from tests.conftest import Medseg
from tests.inference.nnunet.models import scan_for, write_model
from tests.remedies.inference import model_run, write_image
from tests.tracking.conftest import box_model

PICKLED = (".pkl", ".pickle", ".joblib", ".npy", ".pth", ".ckpt")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(11)  # weights that draw with little confidence
    folder = model_run(tmp_path_factory.mktemp("package") / "run")
    (folder / "plan.yaml").write_text("# a plan\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(7)
    return model_run(tmp_path_factory.mktemp("package") / "other")


@pytest.fixture(scope="module")
def package(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packages") / "package"
    package_models(run, PackageSettings(out=out))
    return out


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("scans")
    return [write_image(folder / f"case_{number}.nii.gz") for number in range(2)]


def served_masks(model: Path, scans: list[Path]) -> list[bytes]:
    table = pandas.DataFrame({"scan": [path.read_bytes() for path in scans], "name": [path.name for path in scans]})
    return [base64.b64decode(mask) for mask in mlflow.pyfunc.load_model(str(model)).predict(table)["mask"]]


def drawn_masks(runs: Path | list[Path], scans: list[Path], out: Path) -> list[bytes]:
    return [one.mask_path.read_bytes() for one in medseg.predict(runs, scans, out=out, device="cpu").predictions]


def test_package_holds_its_forms_and_nothing_half_written(package: Path) -> None:
    assert sorted(path.name for path in package.iterdir()) == ["README.md", "bundle", "mlflow", "onnx"]
    model = package / "mlflow" / "data" / "model"
    assert sorted(path.name for path in (model / "model_1").iterdir()) == [
        "last.safetensors",
        "model.json",
        "plan.yaml",
    ]
    assert [path.name for path in package.parent.iterdir()] == ["package"]
    assert (package / "README.md").read_text().startswith("# made up 1\n")


def test_no_pickle_is_in_a_package_but_the_tensors_that_monai_asks_for(package: Path) -> None:
    files = [path for path in package.rglob("*") if path.is_file()]
    assert [path.name for path in files if path.suffix in PICKLED] == []
    assert [path.name for path in files if path.suffix == ".pt"] == ["model.pt"]
    described = (package / "mlflow" / "MLmodel").read_text()
    assert "python_model" not in described
    assert "cloudpickle" not in described


def test_no_file_of_a_package_names_the_machine_or_its_user(run: Path, package: Path) -> None:
    machine = (*Path(medseg.__file__).parents[:2], Path(torch.__file__).parents[1], run, package, Path.home())
    names = [str(path).encode() for path in machine if len(path.parts) > 2]
    found = [(path.name, name) for path in package.rglob("*") for content in contents(path) for name in names
             if name in content]  # fmt: skip
    assert found == []


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and of what is in it if it is a zip."""
    if path.is_file():
        yield path.read_bytes()
    if path.is_file() and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from map(archive.read, archive.namelist())


def test_package_whose_weights_were_changed_is_refused(package: Path, tmp_path: Path) -> None:
    shutil.copytree(package / "mlflow", tmp_path / "mlflow")
    weights = tmp_path / "mlflow" / "data" / "model" / "model_1" / "last.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model_1: the weights must have the SHA-256 in package\.json"):
        mlflow.pyfunc.load_model(str(tmp_path / "mlflow"))


@pytest.mark.parametrize(("kind", "depth"), [("flat", 1), ("solid", 16)])
def test_example_is_one_slice_for_a_2d_network(run: Path, tmp_path: Path, kind: str, depth: int) -> None:
    folder = run / "model"
    if kind == "flat":
        folder = adopt_model(write_model("slices", tmp_path), tmp_path / "run", AdoptSettings(precision="fp32")).folder
        folder = folder / "model"
    scan = example_of(folder)["scan"][0]
    (tmp_path / "a.nii.gz").write_bytes(base64.b64decode(scan if isinstance(scan, str) else scan[0]))
    assert read_scan([tmp_path / "a.nii.gz"], case_id="a").array.shape == (1, 16, 16, depth)


def test_packaged_model_draws_the_masks_of_the_run(run: Path, package: Path, scans: list[Path], tmp_path: Path) -> None:
    assert served_masks(package / "mlflow", scans) == drawn_masks(run, scans, tmp_path / "masks")


def test_packaged_ensemble_draws_the_masks_of_its_runs_together(
    run: Path, other: Path, scans: list[Path], tmp_path: Path
) -> None:
    result = package_models([run, other], PackageSettings(out=tmp_path / "package"))
    assert served_masks(tmp_path / "package" / "mlflow", scans) == drawn_masks([run, other], scans, tmp_path / "masks")
    assert [one.folder for one in result.card.models] == ["model_1", "model_2"]
    assert "model_2: its plan is not beside it and not in the package" in result.warnings
    for form, file in (("bundle", "configs/inference.json"), ("onnx", "model.onnx")):
        assert all((tmp_path / "package" / form / name / file).is_file() for name in ("model_1", "model_2"))


@pytest.mark.data
def test_run_ensemble_and_bundle_draw_the_same_masks_of_ten_real_scans(
    run: Path, other: Path, real_data: Path, tmp_path: Path
) -> None:
    from monai.bundle import ConfigParser

    (tmp_path / "scans").mkdir()
    for path in sorted((real_data / "msd_hippocampus" / "imagesTr").glob("*.nii.gz"))[:10]:
        (tmp_path / "scans" / path.name).symlink_to(path)
    scans = sorted((tmp_path / "scans").iterdir())
    package_models(run, PackageSettings(out=tmp_path / "one", forms=("mlflow", "bundle")))
    alone = drawn_masks(run, scans, tmp_path / "masks")
    assert served_masks(tmp_path / "one" / "mlflow", scans) == alone
    parser = ConfigParser()
    parser.read_config(tmp_path / "one" / "bundle" / "configs" / "inference.json")
    parser.update({"bundle_root": str(tmp_path / "one" / "bundle"), "dataset_dir": str(tmp_path / "scans")})
    parser.update({"output_dir": str(tmp_path / "bundle_masks"), "device": torch.device("cpu")})
    parser.get_parsed_content("evaluator").run()
    assert [(tmp_path / "bundle_masks" / path.name).read_bytes() for path in scans] == alone
    package_models([run, other], PackageSettings(out=tmp_path / "two", forms=("mlflow",)))
    together = drawn_masks([run, other], scans, tmp_path / "together")
    assert served_masks(tmp_path / "two" / "mlflow", scans) == together
    assert together != alone


def test_adopted_cascade_is_served_as_it_draws(tmp_path: Path) -> None:
    run = adopt_model(write_model("cascade", tmp_path), tmp_path / "run", AdoptSettings(precision="fp32")).folder
    scan = scan_for("cascade")
    write_scan(scan.array, scan.geometry, tmp_path / "a.nii.gz")
    result = package_models(run, PackageSettings(out=tmp_path / "package"))
    scans = [tmp_path / "a.nii.gz"]
    assert served_masks(tmp_path / "package" / "mlflow", scans) == drawn_masks(run, scans, tmp_path / "masks")
    assert "model_1: a model that was adopted from nnU-Net makes no bundle" in result.warnings
    assert set(result.forms) == {"mlflow", "onnx"}
    onnx = tmp_path / "package" / "onnx" / "model_1"
    assert sorted(path.relative_to(onnx).as_posix() for path in onnx.rglob("model.onnx")) == [
        "fold_0/model.onnx", "previous/fold_0/model.onnx",
    ]  # fmt: skip


def test_folds_are_packaged_without_those_that_have_no_model(
    run: Path, other: Path, scans: list[Path], tmp_path: Path
) -> None:
    folds = tmp_path / "folds"
    for name, source in (("fold_0", run), ("fold_1", other)):
        (folds / name).parent.mkdir(exist_ok=True)
        (folds / name).symlink_to(source)
    (folds / "fold_2").mkdir()
    (folds / "folds.json").write_text("{}")
    result = package_models(folds, PackageSettings(out=tmp_path / "package", forms=("mlflow",)))
    assert len(result.card.models) == 2
    assert result.card.notes[0].endswith("fold_2 has no model and takes no part")
    assert load_package_card(tmp_path / "package" / "mlflow" / "data" / "model") == result.card


def test_precision_is_compared_on_scans_and_told(tmp_path: Path, scans: list[Path]) -> None:
    run = box_model(tmp_path / "run").parent
    boxes = write_image(tmp_path / "in" / "a.nii.gz").parent
    (boxes / "torn.nii.gz").write_bytes(b"torn")
    write_scan(np.zeros((3, 9, 9, 9), np.float32), Geometry((9, 9, 9), np.eye(4)), boxes / "wide.nii.gz")
    result = package_models(run, PackageSettings(out=tmp_path / "package", forms=("mlflow",), check_on=(boxes,)))
    (model,) = result.card.models
    assert model.precision_check is not None
    assert model.precision_check.subject == "1 scan(s)"
    assert set(model.precision_check.by_label) == {"box"}
    assert [note for note in result.warnings if note.startswith("the precision was not compared on torn: case torn")]
    told = "the precision was not compared on wide: case wide: image must have the model's 1 channels"
    assert [note for note in result.warnings if note.startswith(told)]
    card = load_card(tmp_path / "package" / "mlflow" / "data" / "model" / "model_1")
    assert card.precision_check == model.precision_check
    assert card.precision == "auto"


@pytest.mark.parametrize(("asked", "expected"), [("checked", "fp32"), ("fp32", "fp32"), ("auto", "auto")])
def test_float32_is_used_where_nothing_clears_bfloat16(tmp_path: Path, asked: Any, expected: str) -> None:
    run = model_run(tmp_path / "run")
    state = load_card(run)
    weights = run / "model" / "last.safetensors"
    _draw_background(weights)
    result = package_models(run, PackageSettings(out=tmp_path / "package", forms=("mlflow",), precision=asked))
    card = load_card(tmp_path / "package" / "mlflow" / "data" / "model" / "model_1")
    assert (state.precision, card.precision) == ("auto", expected)
    used = "so float32 is used" if expected == "fp32" else "and the device's own format is used"
    assert f"model_1: nothing showed whether bfloat16 decides as float32 does, {used}" in result.warnings


def _draw_background(weights: Path) -> None:
    from medseg.networks import save_weights
    from safetensors.torch import load_file

    state = load_file(weights)
    save_weights({name: torch.zeros_like(value) for name, value in state.items()}, weights)


def test_unusable_models_leave_no_package(run: Path, tmp_path: Path) -> None:
    own = model_run(tmp_path / "own", own_network="mine")
    with pytest.raises(CheckpointError, match="was trained with the network mine"):
        package_models(own, PackageSettings(out=tmp_path / "package"))
    with pytest.raises(ConfigError, match="the models must differ, got one 2 times"):
        package_models([run, run], PackageSettings(out=tmp_path / "package"))
    assert not (tmp_path / "package").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


def test_folder_that_holds_something_is_not_written_to(run: Path, package: Path) -> None:
    before = sorted(package.rglob("*"))
    with pytest.raises(ConfigError, match="must be new or empty"):
        package_models(run, PackageSettings(out=package))
    assert sorted(package.rglob("*")) == before


def test_missing_package_is_told_before_any_work(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DeliveryError, match="install it with pip install onnxruntime, or leave onnx out"):
        package_models(run, PackageSettings(out=tmp_path / "package"))
    assert list(tmp_path.iterdir()) == []


def test_command_says_where_the_forms_are(run: Path, tmp_path: Path, medseg: Medseg) -> None:
    outcome = medseg("package", run, "--out", tmp_path / "package", "--form", "mlflow")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        f"mlflow: {tmp_path / 'package' / 'mlflow'}",
        f"how to use them: {tmp_path / 'package' / 'README.md'}",
    ]


def test_limits_of_a_request_are_kept_in_the_package_and_changed_by_who_loads_it(
    run: Path, scans: list[Path], tmp_path: Path, medseg: Medseg
) -> None:
    outcome = medseg("package", run, "--out", tmp_path / "package", "--form", "mlflow", "--most-voxels", 99)
    assert outcome.code == 0
    model = tmp_path / "package" / "mlflow"
    table = pandas.DataFrame({"scan": [scans[0].read_bytes()]})
    with pytest.raises(mlflow.exceptions.MlflowException, match="a scan must have at most 99 voxels") as caught:
        mlflow.pyfunc.load_model(str(model)).predict(table)
    assert caught.value.get_http_status_code() == 400
    more = {"most_voxels": 10**6}
    assert mlflow.pyfunc.load_model(str(model), model_config=more).predict(table)["error"].tolist() == [None]
    with pytest.raises(mlflow.exceptions.MlflowException, match="a scan must have at most 9 bytes"):
        mlflow.pyfunc.load_model(str(model), model_config=more | {"most_bytes": 9}).predict(table)
    with pytest.raises(ConfigError, match="settings of the model: most_voxels"):
        mlflow.pyfunc.load_model(str(model), model_config={"most_voxels": 0})
    page = (tmp_path / "package" / "README.md").read_text(encoding="utf-8")
    assert "A scan may have 99 voxels, 2,147,483,648 bytes unpacked and\n20,000 files" in page


def test_limits_of_the_command_are_those_of_the_library() -> None:
    from medseg.workflows.package import command

    defaults = {option.name: option.default for option in command.params}
    limits = RequestLimits()
    assert (defaults["most_voxels"], defaults["most_bytes"]) == (limits.most_voxels, limits.most_bytes)


@pytest.fixture(scope="module")
def server(package: Path) -> Iterator[str]:
    """Address of `mlflow models serve` with the package."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(package / "mlflow"), "--port", str(port)]
    environment = {
        **os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen([*command, "--env-manager", "local"], env=environment, start_new_session=True) as process:
        try:
            _wait_for(address, process)
            yield address
        finally:
            os.killpg(process.pid, signal.SIGTERM)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert process.poll() is None, "the server must not end"
        try:
            with urllib.request.urlopen(f"{address}/ping", timeout=5):  # noqa: S310  # the address is our own
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError("the server must answer within two minutes")


def ask(address: str, content: dict[str, Any]) -> tuple[int, Any]:
    """Status and content of the answer to a request."""
    request = urllib.request.Request(  # noqa: S310  # the address is our own
        f"{address}/invocations", json.dumps(content).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310  # as above
            return answer.status, json.loads(answer.read(), parse_constant=_refuse)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def _refuse(constant: str) -> None:
    raise ValueError(f"an answer must be JSON as every program reads it, got {constant}")


def record_of(scan: Path) -> dict[str, str]:
    return {"scan": base64.b64encode(scan.read_bytes()).decode(), "name": scan.name}


def test_server_answers_every_request_alike(
    server: str, run: Path, scans: list[Path], package: Path, tmp_path: Path
) -> None:
    expected = drawn_masks(run, scans, tmp_path / "masks")
    records = [record_of(scan) for scan in scans]
    columns = {key: [record[key] for record in records] for key in ("scan", "name")}
    for content in ({"dataframe_records": records}, {"dataframe_records": records}, {"inputs": columns}):
        status, answer = ask(server, content)
        assert status == 200
        assert [base64.b64decode(row["mask"]) for row in answer["predictions"]] == expected
    row = answer["predictions"][0]
    assert row["labels"] == {"background": 0, "liver": 1}
    assert row["flags"][0]["kind"] == "confidence"
    assert set(row["volumes_ml"]) == {"liver"}
    assert ask(server, {"dataframe_records": records[:1], "params": {"fast": True}})[0] == 200
    example = json.loads((package / "mlflow" / "serving_input_example.json").read_text())
    assert ask(server, example)[1]["predictions"][0]["error"] is None


def test_server_says_what_fails(server: str, scans: list[Path]) -> None:
    torn = {"scan": base64.b64encode(b"torn").decode(), "name": "torn.nii.gz"}
    status, answer = ask(server, {"dataframe_records": [torn, record_of(scans[0])]})
    failed, drawn = answer["predictions"]
    assert (status, failed["mask"], drawn["error"]) == (200, None, None)
    assert failed["error"].startswith("case torn: ")
    status, answer = ask(server, {"dataframe_records": [torn]})
    assert status == 400
    assert "case torn: " in answer["message"]


def test_server_refuses_a_scan_that_promises_too_much_and_draws_the_others(server: str, scans: list[Path]) -> None:
    header = bytearray(gzip.decompress(scans[0].read_bytes())[:352])
    header[42:48] = np.array([2000] * 3, "<i2").tobytes()
    row = {"scan": base64.b64encode(gzip.compress(bytes(header))).decode(), "name": "huge.nii.gz"}
    status, answer = ask(server, {"dataframe_records": [row, record_of(scans[0])]})
    refused, drawn = answer["predictions"]
    assert (status, refused["case"], refused["mask"], drawn["error"]) == (200, "huge", None, None)
    assert refused["error"].startswith("a scan must have at most 536870912 voxels")
    status, answer = ask(server, {"dataframe_records": [row]})
    assert status == 400
    assert "got 8000000000; send a smaller part of it" in answer["message"]


def test_client_names_no_path_on_the_server(server: str, scans: list[Path]) -> None:
    for row in ({"path": str(scans[0])}, {"path": "/etc/passwd"}):
        status, answer = ask(server, {"dataframe_records": [row]})
        assert status == 400
        assert "must hold the bytes of its scan, got a path" in answer["message"]


def test_package_keeps_the_postprocessing_of_its_models_and_says_so(tmp_path: Path) -> None:
    rules = Postprocessing(structures=(StructureRule(structure="liver", keep_largest=True),))
    runs = [model_run(tmp_path / name, postprocessing=rules, trained_on=(name,)) for name in ("one", "two")]
    card = write_members(read_members(runs, "last", "cpu"), tmp_path / "package", warnings=())
    assert "after it is decided the mask is changed (liver: keep the largest part)" in card.notes[-1]
    packaged = load_models([tmp_path / "package" / one.folder for one in card.models], device=torch.device("cpu"))
    assert packaged.postprocessing == rules
