#!/usr/bin/env python3
"""Train nnU-Net v2 for a number of seconds and draw its validation masks; runs in an environment that has nnunetv2.

    export nnUNet_raw=nnunet/raw nnUNet_preprocessed=nnunet/preprocessed nnUNet_results=nnunet/results
    nnUNetv2_plan_and_preprocess -d 4
    python benchmarks/peers/nnunet_budget.py 4 3d_fullres --seconds 600 --folder nnunet

`nnunet` is the folder that export_nnunet.py makes. Plans, network, augmentation, loss, optimiser and inference are
nnU-Net's own. Only the schedule is bent to the time: the learning rate falls polynomially with the seconds, as it
otherwise does with the epochs, and there are no validations in between. Planning, preprocessing, start of the loaders
and the masks come on top of the seconds, which favours nnU-Net.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class SecondsTrainer(nnUNetTrainer):
    """nnU-Net's trainer with a learning rate by the clock."""

    seconds = 60.0
    steps = 0

    def run_training(self) -> None:
        """Step until the time is over."""
        self.on_train_start()
        batch = next(self.dataloader_train)  # the loaders' start is not counted
        start = time.monotonic()
        while (passed := time.monotonic() - start) < self.seconds:
            for group in self.optimizer.param_groups:
                group["lr"] = self.initial_lr * (1 - passed / self.seconds) ** 0.9
            self.network.train()
            loss = self.train_step(batch)["loss"]
            self.steps += 1
            if self.steps % 10 == 1:
                print(f"step {self.steps}, {passed:.0f} s, loss {float(loss):.3f}", flush=True)
            batch = next(self.dataloader_train)
        self.on_train_end()


def main() -> None:
    """Train, draw the validation masks, print steps and times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=int, help="nnU-Net's number of the dataset")
    parser.add_argument("configuration", choices=["2d", "3d_fullres", "3d_lowres"])
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="folder with raw, preprocessed, splits and results")
    parser.add_argument("--no-mirroring", action="store_true", help="masks without mirrored copies: 8 times faster")
    arguments = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    name = next(folder.name for folder in (arguments.folder / "raw").glob(f"Dataset{arguments.dataset:03d}_*"))
    preprocessed = arguments.folder / "preprocessed" / name
    shutil.copyfile(arguments.folder / "splits" / f"{name}.json", preprocessed / "splits_final.json")
    plans = json.loads((preprocessed / "nnUNetPlans.json").read_text()) | {"continue_training": False}
    dataset = json.loads((preprocessed / "dataset.json").read_text())
    trainer = SecondsTrainer(plans, arguments.configuration, 0, dataset, torch.device("cpu"))
    trainer.seconds = arguments.seconds
    trainer.run_training()
    if arguments.no_mirroring:
        trainer.inference_allowed_mirroring_axes = None
    start = time.monotonic()
    trainer.perform_actual_validation()
    masks = Path(trainer.output_folder) / "validation"
    print(f"{name}: {trainer.steps} steps in {arguments.seconds:.0f} s, masks in {time.monotonic() - start:.0f} s")
    print(masks)


if __name__ == "__main__":
    main()
