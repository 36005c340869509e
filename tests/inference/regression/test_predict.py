"""Predicted quantities: values that survive the route, on the grid of the scan, with their unit."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from medseg.cohort import SERIAL
from medseg.errors import CheckpointError, ConfigError, DeliveryError
from medseg.geometry import Geometry
from medseg.inference.inputs import find_inputs
from medseg.inference.regression import QuantityCard, ValueModel, ValuePredictor, load_value_record, predict_values
from medseg.inference.regression.volumes import predicted_values
from medseg.inference.segmentation import InferenceConfig
from medseg.manifest import load_manifest
from medseg.networks import NetworkConfig
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.preprocess.regression import prepare_values
from medseg.records import Scan
from medseg.scans import read_quantity, read_scan, write_quantity, write_scan
from medseg.targets import Quantities, Quantity
from torch import Tensor, nn

from tests.grids import OBLIQUE
from tests.quantity_data import write_dose_dataset

NETWORK = NetworkConfig(
    spatial_dims=3, in_channels=1, out_channels=1, channels=(4, 8), strides=((1, 1, 1), (2, 2, 2)),
    kernels=((3, 3, 3),) * 2, blocks=(1, 1), decoder_blocks=(1,),
)  # fmt: skip
UNITS = {"dose": Quantity(unit="Gy")}
WINDOW = InferenceConfig(patch_size=(8, 8, 4))
MILLIONTH = 1e-6


class Shared(nn.Module):
    """A network that gives its image back as it learned it: (value - offset) / scale."""

    def __init__(self, target: Quantities, factor: float = 1.0) -> None:
        super().__init__()
        self.offset, self.scale, self.factor = target.offsets[0], target.scales[0], factor

    def forward(self, image: Tensor) -> Tensor:
        return (self.factor * image - self.offset) / self.scale


def model(*, target: Quantities | None = None, factor: float = 1.0) -> ValuePredictor:
    target = target or Quantities(quantities=UNITS)
    card = QuantityCard(
        medseg_version="0", dataset="doses 1", channels=("MR",), targets=target, network=NETWORK,
        preprocess=PreprocessConfig(normalisation=(ChannelNormalisation(kind="none"),)), inference=WINDOW,
        trained_on=("case_1",), manifest_digest="m", plan_digest=f"p{factor}",
    )  # fmt: skip
    return ValuePredictor(Shared(target, factor), card, device=torch.device("cpu"))


def drawn_values(shape: tuple[int, ...] = OBLIQUE.shape) -> np.ndarray:
    return np.random.default_rng(0).uniform(0.01, 70, shape).astype(np.float32)


@pytest.mark.parametrize("axcodes", ["RAS", "LPS", "SAR"])
@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_values_survive_file_store_network_and_file_to_a_millionth(tmp_path: Path, axcodes: str, scale: float) -> None:
    grid = OBLIQUE.reoriented(axcodes)
    values = drawn_values(grid.shape)
    entry = {"case_id": "a", "image": "a.nii.gz", "quantities": {"dose": "a.nii.gz"}}
    write_scan(values[np.newaxis], grid, tmp_path / "a.nii.gz")
    content = {"name": "d", "task": "regression", "channel_names": {"0": "MR"}, "quantities": {"dose": {"unit": "Gy"}}}
    (tmp_path / "dataset.json").write_text(json.dumps({**content, "training": [entry]}))
    manifest, root = load_manifest(tmp_path)
    config = PreprocessConfig(normalisation=(ChannelNormalisation(kind="none"),))
    done = prepare_values(manifest.cases, manifest, root, config=config, store=tmp_path / "store", executor=SERIAL)
    (case,) = done.cases
    target = Quantities(quantities=UNITS, scale={"dose": scale})
    stored = torch.from_numpy(case.values()[...])
    restored = predicted_values(
        Shared(target), stored, case.grid, case.native, WINDOW, target=target, device=torch.device("cpu")
    )
    scan = read_scan(tmp_path / "a.nii.gz", case_id="a")
    path = write_quantity(restored[0], scan, tmp_path / "out", case_id="a", quantity="dose", unit="Gy")
    again, found = read_quantity(path, case_id="a")
    assert found.is_close(grid)
    np.testing.assert_allclose(again, values, rtol=MILLIONTH)


def test_the_file_is_that_of_its_scan_for_nibabel_and_simpleitk_alike(tmp_path: Path) -> None:
    values = drawn_values()
    source = nibabel.Nifti1Image(values, OBLIQUE.affine)
    source.set_qform(OBLIQUE.affine, code=2)
    source.set_sform(OBLIQUE.affine, code=4)
    source.header.set_xyzt_units("mm")
    nibabel.save(source, tmp_path / "a.nii.gz")
    scan = read_scan(tmp_path / "a.nii.gz", case_id="a")
    path = write_quantity(values, scan, tmp_path / "dose", case_id="a", quantity="dose", unit="Gy")
    image = nibabel.load(path)
    raw = nibabel.Nifti1Header.from_fileobj(nibabel.openers.Opener(str(path)))
    assert image.get_data_dtype() == np.float32
    assert (float(raw["scl_slope"]), float(raw["scl_inter"])) == (1, 0)
    assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (2, 4)
    assert bytes(image.header["descrip"]).rstrip(b"\0") == b"medseg dose [Gy]"
    np.testing.assert_array_equal(np.asarray(image.dataobj), values)
    np.testing.assert_allclose(image.affine, source.affine, atol=1e-6)
    by_itk = sitk.ReadImage(str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(by_itk).T, values)
    np.testing.assert_allclose(by_itk.GetSpacing(), OBLIQUE.spacing_mm, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "unit", "described"),
    [
        ("dose", "µGy", "medseg dose [µGy]"),
        ("d" * 90, "Gy", f"medseg {'d' * 67} [Gy]"),
        ("é" * 40, "Gy", f"medseg {'é' * 33} [Gy]"),
        ("dose", "·" * 32, f"medseg dose [{'·' * 32}]"),
        ("dose", "日" * 32, "medseg dose"),
    ],
)
def test_the_unit_stands_whole_in_the_header_or_not_at_all(
    name: str, unit: str, described: str, tmp_path: Path
) -> None:
    scan = Scan(np.zeros((1, *OBLIQUE.shape), np.float32), OBLIQUE)
    path = write_quantity(drawn_values(), scan, tmp_path, case_id="a", quantity=name, unit=unit)
    assert bytes(nibabel.load(path).header["descrip"]).rstrip(b"\0").decode() == described


def test_values_outside_of_the_network_s_grid_are_those_of_its_edge() -> None:
    native = Geometry((9, 9, 9), np.eye(4))
    grid = native.resampled((2.0, 2.0, 2.0))
    target = Quantities(quantities=UNITS)
    constant = torch.full((1, *grid.shape), 42.0)
    found = predicted_values(Shared(target), constant, grid, native, WINDOW, target=target, device=torch.device("cpu"))
    np.testing.assert_allclose(found, 42, rtol=1e-6)


def test_volumes_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    scan = Scan(np.zeros((1, *OBLIQUE.shape), np.float32), OBLIQUE)
    values = drawn_values()
    values[0, 0, 0] = np.nan
    with pytest.raises(DeliveryError, match="case a: dose must be finite everywhere, got 1 voxels"):
        write_quantity(values, scan, tmp_path, case_id="a", quantity="dose", unit="Gy")
    assert not list(tmp_path.iterdir())


def predict(folder: Path, found_in: Path, *models: ValuePredictor) -> tuple[list[str], list[str], list[str]]:
    """Ids of the predicted, kept and failed cases."""
    of_models = ValueModel(models or (model(),))
    found = find_inputs([found_in], channels=of_models.channels)
    done = predict_values(of_models, found, folder, cards="c")
    return [case.case_id for case in done.cases], list(done.kept), [failure.case_id for failure in done.failures]


def test_a_folder_holds_volumes_sidecars_and_a_record(tmp_path: Path) -> None:
    path = write_dose_dataset(tmp_path, cases=3)
    (tmp_path / "case_2_mr.nii.gz").write_bytes(b"no scan")
    predicted, kept, failed = predict(tmp_path / "out", path)
    assert (predicted, kept, failed) == (["case_0", "case_1"], [], ["case_2"])
    record = load_value_record(tmp_path / "out")
    assert record is not None
    assert [failure.case_id for failure in record.failures] == ["case_2"]
    assert [case.in_training for case in record.cases] == [False, True]
    sidecar = json.loads((tmp_path / "out/dose/case_0.json").read_text())
    assert (sidecar["unit"], sidecar["quantity"], sidecar["models"][0]["dataset"]) == ("Gy", "dose", "doses 1")
    values, _ = read_quantity(tmp_path / "out/dose/case_0.nii.gz", case_id="a")
    image, _ = read_quantity(tmp_path / "case_0_mr.nii.gz", case_id="a")
    np.testing.assert_allclose(values, image, rtol=1e-5, atol=1e-6)
    assert sidecar["mean"] == pytest.approx(values.mean(dtype="float64"), abs=1e-6)


def test_what_is_finished_is_kept_and_what_changed_is_predicted_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_dose_dataset(tmp_path, cases=3)
    predict(tmp_path / "out", path)
    assert predict(tmp_path / "out", path)[1] == ["case_0", "case_1", "case_2"]
    changed = np.full((1, 16, 14, 12), 3.0, np.float32)
    write_scan(changed, Geometry((16, 14, 12), np.diag([2.0, 2.0, 3.0, 1.0])), tmp_path / "case_1_mr.nii.gz")
    (tmp_path / "out/dose/case_2.nii.gz").write_bytes(b"by a person")
    with caplog.at_level(logging.WARNING):
        predicted, kept, _ = predict(tmp_path / "out", path)
    assert (predicted, kept) == (["case_0", "case_1", "case_2"], ["case_0"])
    np.testing.assert_allclose(read_quantity(tmp_path / "out/dose/case_1.nii.gz", case_id="a")[0], 3, rtol=1e-6)
    assert (tmp_path / "out/dose/case_2.set_aside.nii.gz").read_bytes() == b"by a person"
    assert "kept as case_2.set_aside.nii.gz" in caplog.text


def test_another_model_and_another_content_of_the_folder_are_refused(tmp_path: Path) -> None:
    path = write_dose_dataset(tmp_path, cases=1)
    predict(tmp_path / "out", path)
    with pytest.raises(ConfigError, match="must be continued as it was begun, got another model"):
        predict(tmp_path / "out", path, model(factor=2.0))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="must be new, empty or begun by medseg predict"):
        predict(tmp_path / "mine", path)


def test_of_several_models_the_mean_counts(tmp_path: Path) -> None:
    path = write_dose_dataset(tmp_path, cases=1)
    predict(tmp_path / "out", path, model(), model(factor=3.0))
    values, _ = read_quantity(tmp_path / "out/dose/case_0.nii.gz", case_id="a")
    image, _ = read_quantity(tmp_path / "case_0_mr.nii.gz", case_id="a")
    np.testing.assert_allclose(values, 2 * image, rtol=1e-5, atol=1e-5)
    record = load_value_record(tmp_path / "out")
    assert record is not None
    assert len(record.models) == 2


def test_models_of_different_units_are_refused() -> None:
    other = model(target=Quantities(quantities={"dose": Quantity(unit="cGy")}))
    with pytest.raises(CheckpointError, match="models must have the same quantities"):
        ValueModel((model(), other))
