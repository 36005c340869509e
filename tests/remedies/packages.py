"""Remedies of the errors of packages, and of what programs send to them."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.delivery.bundle import MaskEvaluator
from medseg.delivery.onnx_model import OnnxNetwork, export_onnx
from medseg.delivery.optional_package import optional_package
from medseg.errors import ScanError
from medseg.geometry import Geometry
from medseg.inference import CaseInput, find_inputs
from medseg.inference.requests import (
    RequestLimits,
    ScanRequest,
    allowed_path,
    only_case,
    read_requests,
    unpacked,
)
from medseg.inference.requests.checked_files import check_files
from medseg.inference.segmentation import Predictor
from medseg.inference.segmentation.package_card import PackageCard, load_package_card, save_package_card
from medseg.inference.segmentation.serving.network_size import check_network_size
from medseg.networks.segmentation import build_network
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.runs.segmentation.package import PackageSettings, package_models
from medseg.scans import write_scan
from torch import Tensor, nn

from tests.inference.classification.knowing import CPU
from tests.remedies.attempts import tries
from tests.remedies.inference import model_card, model_run, write_image

Again = Iterator[Callable[[], object]]


def read(row: dict[str, object]) -> ScanRequest:
    """The request of a row, whose error is raised."""
    (request,) = read_requests([row])
    if isinstance(request, ScanError):
        raise request
    return request


def unpack(request: ScanRequest, limits: RequestLimits | None = None) -> int:
    with unpacked(request, limits=limits) as place:
        return len(list(place.rglob("*")))


def zipped(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in names:
            archive.writestr(name, b"1234")
    return content.getvalue()


@tries("inference/requests/scan_request.py", "send the file's bytes, as base64 text in JSON, in the column scan")
def _no_scan(place: Path) -> Again:
    yield lambda: read({"name": "a.nii"})
    yield lambda: read({"name": "a.nii", "scan": "AAAA"})


@tries("inference/requests/scan_request.py", "encode the file's bytes, such as with base64 -w0")
def _no_base64(place: Path) -> Again:
    yield lambda: read({"scan": "the scan"})
    yield lambda: read({"scan": "dGhlIHNjYW4="})


@tries(
    "inference/requests/allowed_path.py",
    "send the bytes in the column scan, or load the model with a folder as paths_below",
)
def _path_sent(place: Path) -> Again:
    path = write_image(place / "a.nii.gz")
    yield lambda: unpack(ScanRequest(path=str(path)))
    yield lambda: unpack(ScanRequest((path.read_bytes(),)))
    yield lambda: allowed_path(str(path), place)


@tries("inference/requests/allowed_path.py", "name one below that folder, or send the bytes in the column scan")
def _path_outside(place: Path) -> Again:
    path = write_image(place / "scans" / "a.nii.gz")
    yield lambda: allowed_path("../b.nii.gz", place / "scans")
    yield lambda: allowed_path("a.nii.gz", place / "scans")
    yield lambda: unpack(ScanRequest((path.read_bytes(),)))


@tries("inference/requests/checked_files.py", "send a smaller part of it, or predict it with medseg predict")
def _large_scan(place: Path) -> Again:
    scan = write_image(place / "study" / "a.nii.gz")
    limits = RequestLimits(most_bytes=len(zipped("1.dcm")))
    yield lambda: unpack(ScanRequest((zipped("1.dcm", "2.dcm"),)), limits)
    yield lambda: unpack(ScanRequest((zipped("1.dcm"),)), limits)
    yield lambda: find_inputs([scan.parent], channels=("MR",))


@tries("inference/requests/checked_files.py", "send its series alone")
def _many_files(place: Path) -> Again:
    yield lambda: unpack(ScanRequest((zipped("1.dcm", "2.dcm"),)), RequestLimits(most_files=1))
    yield lambda: unpack(ScanRequest((zipped("1.dcm"),)), RequestLimits(most_files=1))


@tries("inference/requests/checked_files.py", "put the files themselves there")
def _link_elsewhere(place: Path) -> Again:
    scan, allowed = write_image(place / "a.nii.gz"), place / "scans"
    (allowed / "study").mkdir(parents=True)
    link = allowed / "study" / "a.nii.gz"
    link.symlink_to(scan)
    yield lambda: check_files(allowed / "study", allowed, RequestLimits())
    link.unlink()
    scan.rename(link)
    yield lambda: check_files(allowed / "study", allowed, RequestLimits())


@tries("inference/requests/named_files.py", "send the scan as one NIfTI, NRRD or MetaImage file")
def _voxels_elsewhere(place: Path) -> Again:
    header = b"NDims = 3\nDimSize = 1 1 1\nElementType = MET_UCHAR\nElementDataFile = "
    yield lambda: unpack(ScanRequest((header + b"/data/a.raw\n",), "a.mha"))
    yield lambda: unpack(ScanRequest((header + b"LOCAL\n\0",), "a.mha"))
    yield lambda: unpack(ScanRequest((write_image(place / "a.nii.gz").read_bytes(),)))


@tries("inference/requests/unzip.py", "pack the files again")
def _torn_zip(place: Path) -> Again:
    yield lambda: unpack(ScanRequest((zipped("1.dcm")[:30],)))
    yield lambda: unpack(ScanRequest((zipped("1.dcm"),)))


@tries("inference/requests/only_case.py", "send each in a request or row of its own")
def _two_cases(place: Path) -> Again:
    scans = [write_image(place / "in" / name) for name in ("a.nii.gz", "b.nii.gz")]
    yield lambda: only_case(place / "in", channels=("MR",))
    yield lambda: [only_case(scan, channels=("MR",)) for scan in scans]


@tries(
    "inference/segmentation/serving/network_size.py",
    "check the voxel size in its header, or send a smaller part of it",
)
def _huge_voxels(place: Path) -> Again:
    spaced = PreprocessConfig(
        axcodes="RAS", spacing_mm=(1.0, 1.0, 1.0), normalisation=(ChannelNormalisation(kind="none"),)
    )
    model = Predictor.load(model_run(place / "run", preprocess=spaced), device=CPU)

    def check(size: int, spacing_mm: float) -> None:
        shape, path = (size, size, size), place / "a.nii.gz"
        write_scan(np.ones((1, *shape), np.float32), Geometry(shape, np.diag([spacing_mm] * 3 + [1.0])), path)
        check_network_size(model, CaseInput("a", (path,)), RequestLimits(most_voxels=4096))

    yield lambda: check(16, 10.0)
    yield lambda: check(16, 1.0)
    yield lambda: check(1, 10.0)


@tries("inference/segmentation/package_card.py", "copy the whole package again, or make it again with medseg package")
def _torn_package(place: Path) -> Again:
    run = model_run(place / "run")
    card = PackageCard(software="medseg", date="2026", channels=("MR",), labels={"liver": 1}, models=())
    yield lambda: load_package_card(place)
    save_package_card(card, place)
    yield lambda: load_package_card(place)
    package_models(run, PackageSettings(out=place / "package", forms=("mlflow",)))
    yield lambda: load_package_card(place / "package" / "mlflow" / "data" / "model")


@tries("delivery/optional_package.py", "install it with pip install {}, or leave {} out")
def _no_package(place: Path) -> Again:
    run = model_run(place / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        yield lambda: package_models(run, PackageSettings(out=place / "all"))
        yield lambda: package_models(run, PackageSettings(out=place / "without", forms=("bundle",)))
    yield lambda: optional_package("onnxruntime", form="onnx")


class _Random(nn.Module):
    """A network whose answer no exporter can repeat."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([torch.rand_like(x)] * 2, dim=1)


@tries("delivery/onnx_model/export.py", "leave onnx out")
def _other_onnx(place: Path) -> Again:
    card = model_card()

    def export(network: nn.Module) -> object:
        source = OnnxNetwork(
            network=network.eval(), in_channels=1, patch_size=(8, 8, 8), channels=("MR",), target=card.target,
            preprocess={}, weights="last",
        )  # fmt: skip
        return export_onnx(source, place / "onnx")

    yield lambda: export(_Random())
    yield lambda: export(build_network(card.network))


@tries("delivery/bundle/mask_evaluator.py", "read {} beside the masks of the others")
def _bad_case_of_a_bundle(place: Path) -> Again:
    write_image(place / "in" / "a.nii.gz")
    (place / "in" / "b.nii.gz").write_bytes(b"torn")
    write_image(place / "good" / "a.nii.gz")

    def run(folder: str) -> str:
        MaskEvaluator(
            found=find_inputs([place / folder], channels=("MR",)), network=nn.Identity(),
            preprocessing=_read, inferer=lambda image, network: network(image), postprocessing=dict,
            output_dir=str(place / "masks"), device=CPU,
        ).run()  # fmt: skip
        return (place / "masks" / "failures.json").read_text()

    yield lambda: run("in")
    assert "b.nii.gz" in (place / "masks" / "failures.json").read_text()
    yield lambda: run("good")


def _read(data: object) -> dict[str, object]:
    from medseg.inference import CaseInput, read_input

    case = data["image"]  # type: ignore[index]
    assert isinstance(case, CaseInput)
    return {"image": torch.from_numpy(read_input(case, channels=("MR",)).array)}


@tries("runs/segmentation/precision.py", "give other scans")
def _no_scan_to_compare_on(place: Path) -> Again:
    run = model_run(place / "run")
    (place / "torn").mkdir()
    (place / "torn" / "a.nii.gz").write_bytes(b"torn")
    (place / "torn" / "b.nii.gz").write_bytes(b"torn")
    good = write_image(place / "good.nii.gz")

    def package(name: str, scan: Path) -> object:
        return package_models(run, PackageSettings(out=place / name, forms=("mlflow",), check_on=(scan,)))

    yield lambda: package("one", place / "torn")
    yield lambda: package("two", good)
