#!/usr/bin/env python3
"""An nnU-Net model drawn by nnU-Net itself and, adopted, by medseg: the same masks, seconds and memory of both.

    python benchmarks/peers/adopted.py --python nnvenv/bin/python MODEL IMAGES --out compared

`MODEL` is a trained nnU-Net v2 folder, `IMAGES` a folder of its images (`case_0000.nii.gz`, …), and `--python` the
interpreter of an environment that has nnunetv2. Both run as processes of their own, medseg as `medseg predict`, nnU-Net
by its own predictor, one case after the other. Seconds are wall clock from start to end, imports included.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from medseg.inference.nnunet import load_adopted_card
from medseg.runs.segmentation.adopt import AdoptSettings, adopt_model
from medseg.scans import read_label

_PEER = """
import sys, torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
model, images, out, mirroring, folds = sys.argv[1:6]
if __name__ == "__main__":
    predictor = nnUNetPredictor(device=torch.device("cpu"), use_mirroring=mirroring == "1", allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(model, folds.split(",") if folds else None)
    predictor.predict_from_files_sequential(images, out)
"""


@dataclass(frozen=True)
class Work:
    """What a process took.

    Attributes:
        seconds: Wall clock.
        megabytes: Largest resident memory.
    """

    seconds: float
    megabytes: float


def main() -> None:
    """Run both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("--python", type=Path, required=True, help="interpreter with nnunetv2")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--folds", help="such as 0,1; all if not given")
    parser.add_argument("--no-mirroring", action="store_true")
    parser.add_argument("--keep-peer", action="store_true", help="take nnU-Net's masks of an earlier call")
    arguments = parser.parse_args()
    folds = tuple(arguments.folds.split(",")) if arguments.folds else None
    run, mine, peer = (arguments.out / name for name in ("run", "medseg", "nnunet"))
    notes = adopt_model(arguments.model, run, AdoptSettings(folds=folds, mirroring=not arguments.no_mirroring)).notes
    print(*notes, sep="\n")
    predict = [sys.executable, "-m", "medseg.workflows.cli", "predict", run, arguments.images, "--out", mine]
    works = {"medseg": measured(predict)}
    if not arguments.keep_peer:
        script = arguments.out / "peer.py"
        script.write_text(_PEER)
        peer.mkdir()
        mirroring = "0" if arguments.no_mirroring else "1"
        command = [arguments.python, script, arguments.model, arguments.images, peer, mirroring, arguments.folds or ""]
        works["nnU-Net"] = measured(command)
    print("| | seconds | MB |\n| --- | ---: | ---: |")
    for name, work in works.items():
        print(f"| {name} | {work.seconds:.1f} | {work.megabytes:.0f} |")
    print_agreement(mine, peer, load_adopted_card(run).labels)


def measured(command: list[str | Path]) -> Work:
    """Run a command to its end; exits if it fails."""
    words = [str(word) for word in command]
    start = time.monotonic()
    process = os.posix_spawn(words[0], words, os.environ)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} ended with {os.waitstatus_to_exitcode(status)}")
    scale = 1 if sys.platform == "darwin" else 1024
    return Work(time.monotonic() - start, usage.ru_maxrss * scale / 1e6)


def print_agreement(mine: Path, peer: Path, labels: dict[str, int]) -> None:
    """Print the Dice of each label over all voxels of all cases, and the worst case of each."""
    shared: dict[int, list[float]] = {value: [] for value in labels.values()}
    sums = {value: np.zeros(2) for value in labels.values()}
    for path in sorted(peer.glob("*.nii.gz")):
        own = next(iter(sorted(mine.glob(f"{path.name.removesuffix('.nii.gz')}*.nii.gz"))))  # it may keep the _0000
        one, other = (read_label(file, case_id=path.name)[0] for file in (own, path))
        for value in labels.values():
            a, b = one == value, other == value
            both, total = 2 * np.count_nonzero(a & b), np.count_nonzero(a) + np.count_nonzero(b)
            sums[value] += both, total
            if total:
                shared[value].append(both / total)
    print("| label | cases | Dice | worst case |\n| --- | ---: | ---: | ---: |")
    for name, value in labels.items():
        both, total = sums[value]
        if total:
            print(f"| {name} | {len(shared[value])} | {both / total:.5f} | {min(shared[value]):.5f} |")


if __name__ == "__main__":
    main()
