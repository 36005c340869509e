"""medseg adopt, from a trained nnU-Net folder to masks."""

from __future__ import annotations

from pathlib import Path

from medseg.inference.nnunet import load_adopted_card
from medseg.scans import write_scan

from tests.conftest import Medseg
from tests.inference.nnunet.folders import Made, write_folder
from tests.inference.nnunet.models import scan_for, write_model
from tests.runs.test_adopt import edit_checkpoint


def test_adopted_model_draws_masks(medseg: Medseg, tmp_path: Path) -> None:
    source = write_model("two_folds", tmp_path)
    done = medseg("adopt", source, "--folds", "1", "--no-mirroring", "--step", "0.75", "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "3d_fullres of Dataset900_Made, nnUNetTrainer, folds 1, not mirrored" in done.out
    assert f"medseg predict {tmp_path / 'run'} SCANS --out masks" in done.out
    assert load_adopted_card(tmp_path / "run").step == 0.75
    scan = scan_for("two_folds")
    write_scan(scan.array, scan.geometry, tmp_path / "case.nii.gz")
    drawn = medseg("predict", tmp_path / "run", tmp_path / "case.nii.gz", "--out", tmp_path / "masks")
    assert drawn.code == 0, drawn.err
    assert (tmp_path / "masks" / "case.nii.gz").is_file()


def test_folder_that_is_no_model_fails_with_what_to_give(medseg: Medseg, tmp_path: Path) -> None:
    done = medseg("adopt", tmp_path, "--out", tmp_path / "run")
    assert done.code == 1
    assert "give the folder of a training of nnU-Net v2" in done.err


def test_trainer_of_ones_own_must_be_accepted(medseg: Medseg, tmp_path: Path) -> None:
    source = write_folder(tmp_path / "model", Made())
    edit_checkpoint(source, trainer_name="nnUNetTrainerMine")
    refused = medseg("adopt", source, "--out", tmp_path / "run")
    assert refused.code == 1
    assert "nnUNetTrainerMine" in refused.err
    assert medseg("adopt", source, "--accept-trainer", "--out", tmp_path / "run").code == 0
