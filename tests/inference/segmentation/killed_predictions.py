"""Predict a small cohort in processes that are killed at random moments until it is done.

    python killed_predictions.py FOLDER

Each prediction is a fork of this process, so that a kill costs no new interpreter. The last line is a JSON of what was
seen after each kill: files under a final name that are not whole, and sidecars that changed once they stood.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from medseg.geometry import Geometry
from medseg.inference import CaseInput
from medseg.inference.record import RECORD_NAME
from medseg.inference.segmentation import InferenceConfig, ModelCard, Predictor, predict_cases
from medseg.networks import NetworkConfig
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.scans import write_scan
from torch import Tensor, nn

CASES, KILLS = 12, 8
SHAPE = (24, 24, 16)


class Slow(nn.Module):
    """Knows the answer, after a while: the class of a voxel is its intensity, rounded."""

    def forward(self, x: Tensor) -> Tensor:
        time.sleep(0.01)
        return torch.cat([-20 * (x - value).abs() for value in range(3)], dim=1)


def main(folder: Path) -> None:
    """Predict once undisturbed, and once with kills."""
    torch.set_num_threads(1)
    inputs = write_cohort(folder / "in")
    started = time.monotonic()
    wait_for(begin(inputs, folder / "whole"))
    whole_s = time.monotonic() - started
    out, choose = folder / "killed", np.random.default_rng(7)
    seen: dict[str, tuple[int, int]] = {}
    partial, drawn_again, amid = set[str](), set[str](), 0
    for _ in range(KILLS):
        process = begin(inputs, out)
        time.sleep(choose.uniform(0.05, 0.35) * whole_s)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        finished = look(out, partial)
        drawn_again |= {name for name, stamp in seen.items() if finished.get(name) != stamp}
        amid += 0 < len(finished) < CASES
        seen |= finished
    wait_for(begin(inputs, out))
    finished = look(out, partial)
    drawn_again |= {name for name, stamp in seen.items() if finished.get(name) != stamp}
    said = {"cases": CASES, "killed": KILLS, "partial": sorted(partial), "drawn_again": sorted(drawn_again)}
    print(json.dumps(said | {"kills_amid_the_work": amid}))  # noqa: T201  # its answer


def begin(inputs: list[CaseInput], out: Path) -> int:
    """Fork a prediction."""
    process = os.fork()
    if process == 0:
        predictions, failures = predict_cases(model(), inputs, out)
        os._exit(0 if len(predictions) == CASES and not failures else 1)
    return process


def wait_for(process: int) -> None:
    """Wait for a prediction to end well."""
    if os.waitpid(process, 0)[1] != 0:
        raise RuntimeError("a prediction must end well")


def look(out: Path, partial: set[str]) -> dict[str, tuple[int, int]]:
    """Note files that are not whole, and give file and time of each sidecar."""
    finished = {}
    for path in sorted(out.iterdir()) if out.exists() else []:
        try:
            if path.name.endswith(".nii.gz") and not path.name.startswith("."):
                np.asarray(nibabel.load(path).dataobj)
            elif path.suffix == ".json":
                content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                if path.name != RECORD_NAME:
                    mask = (out / content["mask"]).read_bytes()
                    finished[path.name] = (path.stat().st_ino, path.stat().st_mtime_ns)
                    if hashlib.sha256(mask).hexdigest() != content["mask_sha256"]:
                        partial.add(path.name)
        except (OSError, ValueError, EOFError, KeyError):
            partial.add(path.name)
    return finished


def write_cohort(folder: Path) -> list[CaseInput]:
    """Boxes of another size in each case."""
    inputs = []
    for number in range(CASES):
        array = np.zeros(SHAPE, np.float32)
        array[2 : 6 + number, 3:9, 4:9] = 1
        array[15:20, 12 : 14 + number // 2, 5:12] = 2
        path = folder / f"case_{number:02d}.nii.gz"
        write_scan(array[None], Geometry(SHAPE, np.diag([1.5, 1.0, 2.0, 1.0])), path)
        inputs.append(CaseInput(f"case_{number:02d}", (path,)))
    return inputs


def model() -> Predictor:
    """The network that knows the answer."""
    card = ModelCard(
        medseg_version="0.1.0",
        dataset="made up 1",
        channels=("MR",),
        labels={"background": 0, "spleen": 3, "liver": 7},
        network=NetworkConfig(
            spatial_dims=3, in_channels=1, out_channels=3, channels=(4, 8), strides=((1, 1, 1), (2, 2, 2)),
            kernels=((3, 3, 3), (3, 3, 3)), blocks=(1, 1), decoder_blocks=(1,),
        ),
        preprocess=PreprocessConfig(axcodes="RAS", normalisation=(ChannelNormalisation(kind="none"),)),
        inference=InferenceConfig(patch_size=(16, 16, 16)),
        trained_on=(),
        manifest_digest="m" * 64,
        plan_digest="p" * 64,
    )  # fmt: skip
    return Predictor(Slow(), card, device=torch.device("cpu"), precision="fp32")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
