"""Trained nnU-Net folders become runs, or are refused with what is wrong and what helps."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import medseg
import numpy as np
import pytest
import torch
from medseg.errors import CheckpointError, ConfigError
from medseg.inference.nnunet import is_adopted, load_adopted, load_adopted_card
from medseg.inference.nnunet.precision_check import check_on_noise
from medseg.inference.segmentation.load_model import load_model
from medseg.networks.precision import uses_bf16
from medseg.runs.segmentation.adopt import AdoptSettings, adopt_model
from medseg.scans import write_scan
from safetensors.torch import load_file

from tests.inference.nnunet.folders import Made, checkpoint_of, configuration_of, weights_of, write_folder
from tests.inference.nnunet.models import CASCADE, MODELS, scan_for, write_model

CPU = torch.device("cpu")
FAST = AdoptSettings(precision="fp32")
Content = dict[str, Any]


def edit(folder: Path, name: str, change: Callable[[Content], object]) -> None:
    """Change the content of plans.json or dataset.json in place."""
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


def edit_configuration(folder: Path, **changes: Any) -> None:
    edit(folder, "plans.json", lambda plans: plans["configurations"]["3d_fullres"].update(changes))


def edit_checkpoint(folder: Path, **changes: Any) -> None:
    path = folder / "fold_0" / "checkpoint_final.pth"
    torch.save(checkpoint_of(Made(), "3d_fullres") | changes, path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "model", Made())


def test_run_holds_a_card_and_a_safetensors_file_per_fold(tmp_path: Path) -> None:
    result = adopt_model(write_model("two_folds", tmp_path), tmp_path / "run", FAST)
    model = tmp_path / "run" / "model"
    assert sorted(path.name for path in model.iterdir()) == ["fold_0.safetensors", "fold_1.safetensors", "model.json"]
    card = load_adopted_card(tmp_path / "run")
    assert card == result.card
    assert (card.trainer, card.configuration, card.mirror_axes) == ("nnUNetTrainer", "3d_fullres", (0, 1, 2))
    assert [fold.name for fold in card.folds] == ["0", "1"]
    head = load_file(model / "fold_1.safetensors")["decoder.head.bias"]
    torch.testing.assert_close(head, weights_of(MODELS["two_folds"], seed=1)["decoder.seg_layers.0.bias"])
    assert is_adopted(tmp_path / "run")
    assert load_model(tmp_path / "run", device=CPU).labels == card.labels


def test_folds_mirroring_and_steps_are_chosen_at_adoption(tmp_path: Path) -> None:
    source = write_model("two_folds", tmp_path)
    settings = AdoptSettings(folds=("1",), mirroring=False, step=0.75, precision="fp32")
    card = adopt_model(source, tmp_path / "run", settings).card
    assert ([fold.name for fold in card.folds], card.mirror_axes, card.step) == (["1"], (), 0.75)


def test_fold_of_all_cases_is_taken_where_there_is_no_other(tmp_path: Path) -> None:
    alone = write_folder(tmp_path / "alone", Made(folds=("all",)))
    both = write_folder(tmp_path / "both", Made(folds=("0", "all")))
    for source, names in ((alone, ["all"]), (both, ["0"])):
        card = adopt_model(source, tmp_path / f"run_{names[0]}", FAST).card
        assert [fold.name for fold in card.folds] == names


def test_training_cases_come_from_the_splits_beside_the_model(folder: Path, tmp_path: Path) -> None:
    splits = [{"train": ["a", "b"], "val": ["c"]}, {"train": ["a", "c"], "val": ["b"]}]
    (folder / "splits_final.json").write_text(json.dumps(splits))
    result = adopt_model(folder, tmp_path / "run", FAST)
    assert result.card.trained_on == ("a", "b")
    (folder / "splits_final.json").unlink()
    unknown = adopt_model(folder, tmp_path / "other", FAST)
    assert unknown.card.trained_on == ()
    assert any("trained on are not known" in note for note in unknown.notes)


def test_plans_of_before_the_present_form_describe_the_same_model(folder: Path, tmp_path: Path) -> None:
    old = {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 4,
        "unet_max_num_features": 6,
        "n_conv_per_stage_encoder": [2, 2],
        "n_conv_per_stage_decoder": [2],
        "num_pool_per_axis": [1, 1, 1],
        "pool_op_kernel_sizes": [[1, 1, 1], [2, 2, 2]],
        "conv_kernel_sizes": [[3, 3, 3], [3, 3, 3]],
    }
    present = adopt_model(folder, tmp_path / "present", FAST).card

    def put_back(plans: Content) -> None:
        del plans["configurations"]["3d_fullres"]["architecture"]
        plans["configurations"]["3d_fullres"].update(old)
        plans["foreground_intensity_properties_by_modality"] = plans.pop("foreground_intensity_properties_per_channel")

    edit(folder, "plans.json", put_back)
    earlier = adopt_model(folder, tmp_path / "earlier", FAST).card
    assert earlier.network == present.network
    assert earlier.preprocess == present.preprocess


def test_ignored_voxels_are_no_label(tmp_path: Path) -> None:
    labels = {"background": 0, "liver": 1, "spleen": 2, "ignore": 3}
    card = adopt_model(write_folder(tmp_path / "model", Made(labels=labels)), tmp_path / "run", FAST).card
    assert card.labels == {"background": 0, "liver": 1, "spleen": 2}


def test_trainer_with_batch_norm_is_known_to_replace_the_norm(folder: Path, tmp_path: Path) -> None:
    edit_checkpoint(folder, trainer_name="nnUNetTrainerBN")
    with pytest.raises(CheckpointError, match="running_mean"):
        adopt_model(folder, tmp_path / "run", FAST)


@pytest.mark.parametrize(
    "name", ["nnUNetTrainer_4000epochs_NoMirroring", "nnUNetTrainerDA5", "nnUNetTrainerTopk10LossLS01"]
)
def test_trainers_that_change_the_training_alone_are_known(folder: Path, tmp_path: Path, name: str) -> None:
    edit_checkpoint(folder, trainer_name=name)
    assert adopt_model(folder, tmp_path / "run", FAST).card.trainer == name


def test_nothing_in_a_checkpoint_is_executed(folder: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil"

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(evil),)

    edit_checkpoint(folder, logging=Payload())
    with pytest.raises(CheckpointError, match=r"must hold tensors and numbers alone, got objects of posix\.mkdir"):
        adopt_model(folder, tmp_path / "run", FAST)
    assert not evil.exists()
    assert not (tmp_path / "run").exists()


def test_numbers_of_numpy_1_are_read(folder: Path, tmp_path: Path) -> None:
    path = folder / "fold_0" / "checkpoint_final.pth"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert b"numpy.core.multiarray" in path.read_bytes()
    assert adopt_model(folder, tmp_path / "run", FAST).card.trainer == "nnUNetTrainer"


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no plans": (lambda f: (f / "plans.json").unlink(), "plans.json must be readable"),
    "plans are a list": (lambda f: (f / "plans.json").write_text("[]"), "plans.json must be readable, got: list"),
    "no dataset.json": (lambda f: (f / "dataset.json").unlink(), "dataset.json must be readable"),
    "torn checkpoint": (lambda f: (f / "fold_0/checkpoint_final.pth").write_bytes(b"torn"), "must be readable"),
    "version 1": (
        lambda f: torch.save({"state_dict": {}}, f / "fold_0/checkpoint_final.pth"), "none of the keys network_weights"
    ),
    "no fold": (lambda f: (f / "fold_0").rename(f / "old"), "got the folds none"),
    "no labels": (lambda f: edit(f, "dataset.json", lambda d: d.pop("labels")), "must have labels with background 0"),
    "gaps": (
        lambda f: edit(f, "dataset.json", lambda d: d["labels"].update(spleen=5)), "must number its labels 0, 1, 2"
    ),
    "text": (lambda f: edit(f, "dataset.json", lambda d: d["labels"].update(spleen="x")), "whole numbers for labels"),
    "fewer labels": (
        lambda f: edit(f, "dataset.json", lambda d: d["labels"].pop("spleen")), "must name 3 labels or regions .* got 2"
    ),
    "no order": (
        lambda f: edit(f, "dataset.json", lambda d: d["labels"].update(spleen=[1, 2])), "must have regions_class_order"
    ),
    "no channels": (lambda f: edit(f, "dataset.json", lambda d: d.pop("channel_names")), "must have channel_names"),
    "more channels": (
        lambda f: edit(f, "dataset.json", lambda d: d.update(channel_names={"0": "a", "1": "b"})), "size mismatch"
    ),
    "other configuration": (
        lambda f: edit_checkpoint(f, init_args={"configuration": "2d"}), "must have the configuration 2d"
    ),
    "own network": (
        lambda f: edit_configuration(f, architecture={"network_class_name": "mine.Net", "arch_kwargs": {}}),
        "unknown network: mine.Net",
    ),
    "own preprocessor": (lambda f: edit_configuration(f, preprocessor_name="Mine"), "preprocessor .* got Mine"),
    "own resampling": (lambda f: edit_configuration(f, resampling_fn_data="mine"), "resampling_fn_data .* got mine"),
    "own reader": (lambda f: edit(f, "plans.json", lambda p: p.update(image_reader_writer="M")), "writer .* got M"),
    "own scheme": (lambda f: edit_configuration(f, normalization_schemes=["Mine"]), "normalisation .* got Mine"),
    "two schemes": (lambda f: edit_configuration(f, normalization_schemes=["x", "y"]), "for each of 1 channels"),
    "no spacing": (lambda f: edit_configuration(f, spacing=[]), "must be complete, got"),
    "no transpose": (lambda f: edit(f, "plans.json", lambda p: p.pop("transpose_forward")), "'transpose_forward'"),
    "no numbers of ct": (
        lambda f: edit(f, "plans.json", lambda p: p.pop("foreground_intensity_properties_per_channel")), "percentile"
    ),
    "own trainer": (lambda f: edit_checkpoint(f, trainer_name="nnUNetTrainerMine"), "the class nnUNetTrainerMine"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_folder_that_cannot_be_adopted_is_refused_and_leaves_no_run(folder: Path, tmp_path: Path, what: str) -> None:
    spoil, message = BROKEN[what]
    spoil(folder)
    with pytest.raises(CheckpointError, match=message) as caught:
        adopt_model(folder, tmp_path / "run", FAST)
    assert caught.value.remedy
    assert not is_adopted(tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm_op": "torch.nn.modules.normalization.GroupNorm"}, "unknown norm: .*GroupNorm"),
        ({"norm_op_kwargs": {"eps": 1e-5, "affine": False}}, "without learned scale"),
        ({"norm_op_kwargs": {"affine": True, "track_running_stats": True}}, "track_running_stats"),
        ({"norm_op_kwargs": {"affine": True, "mine": 1}}, "settings of the norm: mine"),
        ({"nonlin": "torch.nn.GELU"}, "unknown activation: torch.nn.GELU"),
        ({"conv_op": "torch.nn.modules.conv.Conv1d"}, "unknown convolution"),
        ({"squeeze_excitation": True}, "settings of PlainConvUNet: squeeze_excitation"),
        ({"kernel_sizes": [[2, 3, 3], [3, 3, 3]]}, "kernels must be odd"),
    ],
)
def test_layers_that_are_not_known_are_refused_by_name(
    folder: Path, tmp_path: Path, changes: Content, message: str
) -> None:
    architecture = configuration_of(Made())["architecture"]
    architecture["arch_kwargs"] |= changes
    edit_configuration(folder, architecture=architecture)
    with pytest.raises(CheckpointError, match=message):
        adopt_model(folder, tmp_path / "run", FAST)


def test_dropout_and_slopes_are_taken_as_they_are(folder: Path, tmp_path: Path) -> None:
    architecture = configuration_of(Made())["architecture"]
    architecture["arch_kwargs"] |= {
        "dropout_op": "torch.nn.modules.dropout.Dropout3d",
        "dropout_op_kwargs": {"p": 0.2},
        "nonlin_kwargs": {"negative_slope": 0.2, "inplace": True},
        "kernel_sizes": 3,
    }
    edit_configuration(folder, architecture=architecture)
    layers = adopt_model(folder, tmp_path / "run", FAST).card.network.layers  # type: ignore[union-attr]
    assert (layers.activation, layers.negative_slope) == ("leaky_relu", 0.2)


def test_cascade_needs_its_first_stage(tmp_path: Path) -> None:
    source = write_model(CASCADE, tmp_path)
    first = source.with_name("nnUNetTrainer__nnUNetPlans__3d_lowres")
    first.rename(tmp_path / "elsewhere")
    with pytest.raises(CheckpointError, match="the model of its earlier stage 3d_lowres beside it"):
        adopt_model(source, tmp_path / "run", FAST)
    settings = AdoptSettings(previous=tmp_path / "elsewhere", precision="fp32")
    assert adopt_model(source, tmp_path / "again", settings).card.has_earlier_stage
    earlier = load_adopted(tmp_path / "again", device=CPU).earlier
    assert earlier is not None
    assert earlier.card.configuration == "3d_lowres"


def test_output_folder_must_be_empty(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="must be new or empty"):
        adopt_model(folder, tmp_path / "run", FAST)


def test_weights_that_were_exchanged_are_refused(folder: Path, tmp_path: Path) -> None:
    run = adopt_model(folder, tmp_path / "run", FAST).folder
    other = adopt_model(write_folder(tmp_path / "other", Made(seed=3)), tmp_path / "other_run", FAST).folder
    (run / "model/fold_0.safetensors").write_bytes((other / "model/fold_0.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match="must be those of the card beside them"):
        load_adopted(run, device=CPU)


def test_precision_is_compared_on_noise_and_float32_kept_where_decisions_differ(folder: Path, tmp_path: Path) -> None:
    result = adopt_model(folder, tmp_path / "run", AdoptSettings())
    check = check_on_noise(load_adopted(tmp_path / "run", device=CPU))
    assert check is not None
    assert check.agreement < 0.999  # random logits lie close together
    assert result.card.precision == "fp32"
    assert load_adopted(tmp_path / "run", device=CPU).precision == "fp32"
    if uses_bf16(CPU):
        assert result.card.precision_check == check
        assert "so float32 is used" in result.notes[1]


def test_bfloat16_is_used_where_it_decides_alike(folder: Path, tmp_path: Path) -> None:
    weights = weights_of(Made(), seed=0)
    for name, tensor in weights.items():
        if "seg_layers" in name:
            tensor.zero_()
    weights["decoder.seg_layers.0.bias"] += torch.tensor([0.0, 1.0, 0.5])  # liver everywhere
    edit_checkpoint(folder, network_weights=weights)
    card = adopt_model(folder, tmp_path / "run", AdoptSettings()).card
    assert card.precision == ("auto" if uses_bf16(CPU) else "fp32")


def test_precision_may_be_compared_on_a_scan(folder: Path, tmp_path: Path) -> None:
    scan = scan_for("two_folds")
    write_scan(scan.array, scan.geometry, tmp_path / "scan.nii.gz")
    card = adopt_model(folder, tmp_path / "run", AdoptSettings(sample=tmp_path / "scan.nii.gz")).card
    if uses_bf16(CPU):
        assert card.precision_check is not None
        assert card.precision_check.subject == "scan.nii.gz"


def test_adopted_run_predicts_like_any_other(tmp_path: Path) -> None:
    result = medseg.adopt(write_model("two_folds", tmp_path), out=tmp_path / "run", folds=[0], precision="fp32")
    scan = scan_for("two_folds")
    write_scan(scan.array, scan.geometry, tmp_path / "scans" / "case.nii.gz")
    done = medseg.predict(result.folder, tmp_path / "scans", out=tmp_path / "masks")
    assert not done.failures
    mask = medseg.read_label(done.predictions[0].mask_path, case_id="case")[0]
    np.testing.assert_array_equal(mask, load_adopted(result.folder, device=CPU).mask(scan))
    record = json.loads((tmp_path / "masks" / "predictions.json").read_text())
    assert "Dataset900_Made" in json.dumps(record)
    assert record["labels"] == {"background": 0, "liver": 1, "spleen": 2}
