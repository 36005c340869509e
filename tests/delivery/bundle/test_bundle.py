"""MONAI's own command runs a bundle to the masks of `medseg predict`, byte for byte."""

from __future__ import annotations

import json
import os
import pickletools
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.delivery.bundle import PrepareScand, write_bundle
from medseg.errors import CheckpointError, ScanError
from medseg.geometry import Geometry
from medseg.inference import find_inputs
from medseg.inference.card import model_folder
from medseg.inference.segmentation import InferenceConfig, Predictor, predict_cases
from medseg.inference.segmentation.postprocess import Postprocessing, StructureRule
from medseg.networks import NetworkConfig
from medseg.preprocess import BodyCrop, ChannelNormalisation, PreprocessConfig
from medseg.scans import write_scan
from safetensors.torch import load_file

from tests.inference.classification.knowing import CPU
from tests.remedies.inference import model_run

FLAT = NetworkConfig(
    spatial_dims=2, in_channels=1, out_channels=2, channels=(2, 4), strides=((1, 1), (2, 2)), kernels=((3, 3),) * 2,
    blocks=(1, 1), decoder_blocks=(1,),
)  # fmt: skip


def preprocess(**changes: object) -> PreprocessConfig:
    return PreprocessConfig(axcodes="RAS", normalisation=(ChannelNormalisation(kind="zscore"),), **changes)  # type: ignore[arg-type]


CARDS = {
    "plain": {},
    "resampled": {
        "preprocess": preprocess(spacing_mm=(1.5, 1.5, 2.0)),
        "inference": InferenceConfig(patch_size=(8, 8, 8), mirror_axes=(0, 2), is_cut_to_image=True),
    },
    "body": {"preprocess": preprocess(body=BodyCrop(above=(0.0,), margin_mm=2.0))},
    "postprocessed": {
        "postprocessing": Postprocessing(
            structures=(StructureRule(structure="liver", keep_largest=True, fill_holes=True),)
        )
    },
    "slices": {"network": FLAT, "inference": InferenceConfig(patch_size=(8, 8, 1))},
}


def write_body(path: Path, seed: int) -> None:
    """Noise inside a box, zero outside, on a grid that is turned and uneven."""
    array = np.zeros((1, 14, 17, 12), np.float32)
    array[0, 3:12, 2:14, 1:10] = np.random.default_rng(seed).normal(10, 2, size=(9, 12, 9)).astype(np.float32)
    affine = np.array([[0, -1.2, 0, 5], [0.9, 0, 0, 3], [0, 0, 2.5, -7], [0, 0, 0, 1.0]])
    write_scan(array, Geometry((14, 17, 12), affine), path)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for number in range(3):
        write_body(folder / f"case_{number}.nii.gz", number)
    return folder


def monai(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-m", "monai.bundle", *arguments]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, check=check, env=environment, text=True, capture_output=True)


def run_bundle(bundle: Path, scans: Path, out: Path, *, check: bool = True) -> subprocess.CompletedProcess[str]:
    return monai(
        "run", "--bundle_root", str(bundle), "--config_file", str(bundle / "configs" / "inference.json"),
        "--meta_file", str(bundle / "configs" / "metadata.json"), "--dataset_dir", str(scans),
        "--output_dir", str(out), check=check,
    )  # fmt: skip


@pytest.mark.parametrize("kind", CARDS)
def test_masks_are_those_of_predict_byte_for_byte(kind: str, scans: Path, tmp_path: Path) -> None:
    from monai.bundle import ConfigParser

    run = model_run(tmp_path / "run", **CARDS[kind])
    drawn, failures = predict_cases(
        Predictor.load(run, device=CPU), find_inputs([scans], channels=("MR",)), tmp_path / "masks"
    )
    assert failures == []
    write_bundle(run, tmp_path / "bundle")
    parser = ConfigParser()
    parser.read_config(tmp_path / "bundle" / "configs" / "inference.json")
    parser.update({"bundle_root": str(tmp_path / "bundle"), "dataset_dir": str(scans)})
    parser.update({"output_dir": str(tmp_path / "out"), "device": CPU})
    parser.get_parsed_content("evaluator").run()
    assert len(drawn) == 3
    for one in drawn:
        assert (tmp_path / "out" / one.mask_path.name).read_bytes() == one.mask_path.read_bytes()


def test_monai_s_command_runs_it_and_a_bad_case_does_not_stop_the_others(scans: Path, tmp_path: Path) -> None:
    run = model_run(tmp_path / "run")
    write_bundle(run, tmp_path / "bundle")
    (tmp_path / "in").mkdir()
    for path in scans.iterdir():
        (tmp_path / "in" / path.name).symlink_to(path)
    (tmp_path / "in" / "case_torn.nii.gz").write_bytes(b"torn")
    done = run_bundle(tmp_path / "bundle", tmp_path / "in", tmp_path / "out", check=False)
    assert done.returncode != 0
    assert "got 1 without one, such as: case case_torn" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz")) == [f"case_{n}.nii.gz" for n in range(3)]
    (failure,) = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert failure["case_id"] == "case_torn"


def test_scan_with_other_channels_is_refused_as_predict_does(tmp_path: Path) -> None:
    write_bundle(model_run(tmp_path / "run"), tmp_path / "bundle")
    write_scan(np.zeros((3, 9, 9, 9), np.float32), Geometry((9, 9, 9), np.eye(4)), tmp_path / "wide.nii.gz")
    prepare = PrepareScand("image", str(tmp_path / "bundle" / "models"))
    with pytest.raises(ScanError, match=r"case wide: image must have the model's 1 channels \(MR\), got 3"):
        prepare({"image": tmp_path / "wide.nii.gz"})


def test_monai_s_own_check_of_the_network_passes(tmp_path: Path) -> None:
    write_bundle(model_run(tmp_path / "run"), tmp_path / "bundle")
    configs = tmp_path / "bundle" / "configs"
    done = monai(
        "verify_net_in_out", "--net_id", "network_def", "--meta_file", str(configs / "metadata.json"),
        "--config_file", str(configs / "inference.json"), "--device", "cpu",
    )  # fmt: skip
    assert "data shape of network is verified with no error" in done.stdout + done.stderr


def test_metadata_has_every_key_of_monai_s_specification(tmp_path: Path) -> None:
    write_bundle(model_run(tmp_path / "run"), tmp_path / "bundle")
    metadata = json.loads((tmp_path / "bundle" / "configs" / "metadata.json").read_text())
    assert metadata.keys() >= {
        "schema", "version", "monai_version", "pytorch_version", "numpy_version", "optional_packages_version", "task",
        "description", "authors", "copyright", "network_data_format",
    }  # fmt: skip
    image, pred = metadata["network_data_format"]["inputs"]["image"], metadata["network_data_format"]["outputs"]["pred"]
    keys = {"type", "format", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data", "channel_def"}
    assert image.keys() == keys | {"modality"}
    assert pred.keys() == keys
    assert (image["modality"], image["num_channels"], image["spatial_shape"]) == ("MR", 1, [8, 8, 8])
    assert pred["channel_def"] == {"0": "background", "1": "liver"}


def test_weights_are_plain_tensors_that_monai_reads_without_running_code(tmp_path: Path) -> None:
    run = model_run(tmp_path / "run")
    write_bundle(run, tmp_path / "bundle")
    state = torch.load(tmp_path / "bundle" / "models" / "model.pt", weights_only=True)
    expected = load_file(model_folder(run) / "last.safetensors")
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name]) for name in expected)
    with zipfile.ZipFile(tmp_path / "bundle" / "models" / "model.pt") as archive:
        (name,) = (one for one in archive.namelist() if one.endswith("data.pkl"))
        names = [argument for code, argument, _ in pickletools.genops(archive.read(name)) if code.name == "GLOBAL"]
    assert set(names) <= {"torch._utils _rebuild_tensor_v2", "torch FloatStorage", "collections OrderedDict"}


def test_adopted_model_makes_no_bundle(tmp_path: Path) -> None:
    from medseg.runs.segmentation.adopt import AdoptSettings, adopt_model

    from tests.inference.nnunet.models import write_model

    run = adopt_model(write_model("slices", tmp_path), tmp_path / "run", AdoptSettings(precision="fp32")).folder
    with pytest.raises(CheckpointError, match="must be one that medseg trained"):
        write_bundle(run, tmp_path / "bundle")
