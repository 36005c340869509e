#!/usr/bin/env python3
"""Seconds and memory of a whole `medseg predict` process on a chest CT of 512×512×275 voxels.

    python benchmarks/predict_ct.py [--rounds 3] [--labels 25 118] [--fast]

Networks have random weights: six stages of 32 to 320 channels, two convolutions each, in windows of 112×112×128 voxels
of 3 mm without mirroring, which is what nnU-Net plans for a CT of this size. Needs MEDSEG_DATA (chest_ct_dicom).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median


def main() -> None:
    """Print a table line per number of labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--labels", type=int, nargs="+", default=[25, 118])
    parser.add_argument("--fast", action="store_true", help="predict with --fast")
    arguments = parser.parse_args()
    data = os.environ.get("MEDSEG_DATA")
    if not data:
        sys.exit("predict_ct.py: MEDSEG_DATA must be the folder that holds chest_ct_dicom")
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        write_scan(Path(data) / "chest_ct_dicom", scratch / "ct.nii.gz")
        print("| labels | seconds, median | all | peak memory, GB |\n| --- | --- | --- | --- |")
        for labels in arguments.labels:
            run = random_run(scratch / f"run{labels}", labels)
            found = [
                predict(run, scratch / "ct.nii.gz", scratch / f"masks{labels}_{number}", is_fast=arguments.fast)
                for number in range(arguments.rounds)
            ]
            seconds = [one for one, _ in found]
            memory = max(peak for _, peak in found)
            all_seconds = ", ".join(f"{one:.1f}" for one in seconds)
            print(f"| {labels} | {median(seconds):.1f} | {all_seconds} | {memory / 1e9:.2f} |", flush=True)


def write_scan(folder: Path, path: Path) -> None:
    """Write a DICOM series as NIfTI."""
    import SimpleITK as sitk

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    sitk.WriteImage(sitk.Cast(reader.Execute(), sitk.sitkInt16), str(path))


def random_run(run: Path, labels: int) -> Path:
    """A run folder with random weights."""
    import torch
    from medseg.inference.segmentation import InferenceConfig, ModelCard, save_card
    from medseg.networks import NetworkConfig
    from medseg.networks.segmentation import build_network
    from medseg.networks.weights import save_weights
    from medseg.preprocess import ChannelNormalisation, PreprocessConfig

    torch.manual_seed(0)
    config = NetworkConfig(
        spatial_dims=3, in_channels=1, out_channels=labels, channels=(32, 64, 128, 256, 320, 320),
        strides=((1, 1, 1), *((2, 2, 2),) * 5), kernels=((3, 3, 3),) * 6, blocks=(1,) * 6, decoder_blocks=(2,) * 5,
        block="plain",
    )  # fmt: skip
    (run / "model").mkdir(parents=True)
    save_weights(build_network(config).state_dict(), run / "model" / "last.safetensors")
    hu = ChannelNormalisation(kind="ct", clip_hu=(-1000, 1000), mean_hu=-300, std_hu=450)
    card = ModelCard(
        medseg_version="0", dataset="random", channels=("CT",),
        labels={f"label {value}" if value else "background": value for value in range(labels)}, network=config,
        preprocess=PreprocessConfig(axcodes="RAS", spacing_mm=(3, 3, 3), normalisation=(hu,)),
        inference=InferenceConfig(patch_size=(112, 112, 128), batch_size=1),
        trained_on=(), manifest_digest="", plan_digest="",
    )  # fmt: skip
    save_card(card, run / "model")
    return run


def predict(run: Path, scan: Path, masks: Path, *, is_fast: bool) -> tuple[float, int]:
    """Seconds and peak bytes of one process."""
    command = [Path(sys.executable).with_name("medseg"), "predict", run, scan, "--out", masks]
    start = time.perf_counter()
    process = subprocess.Popen(
        [*map(str, command), *(["--fast"] if is_fast else [])], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    text = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"predict_ct.py: medseg predict failed: {text.decode()[-400:]}")
    return seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
