"""Which training recipe wins on the hippocampus: one variant per line, same cases, same number of steps.

    python benchmarks/recipe.py --store STORE --data "$MEDSEG_DATA/msd_hippocampus" --steps 1500 --out recipe.jsonl

Each variant changes the base recipe in one place. Prints mean volume Dice over both labels on fold 0's 40 validation
cases (native grid), steps and seconds. Runs several variants beside each other with `--parallel`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PATCH = (40, 56, 40)
BASE_NETWORK: dict[str, Any] = {
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": 3,
    "channels": (16, 32, 64, 128),
    "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
    "kernels": ((3, 3, 3),) * 4,
    "blocks": (1, 2, 2, 2),
    "decoder_blocks": (1, 1, 1),
    "activation": "relu",
}
FIVE = {
    "channels": (16, 32, 64, 128, 192),
    "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2), (1, 1, 1)),
    "kernels": ((3, 3, 3),) * 5,
    "blocks": (1, 2, 2, 2, 2),
    "decoder_blocks": (1, 1, 1, 1),
}
NO_INTENSITY = {"gamma_share": 0, "contrast_share": 0, "noise_share": 0, "blur_share": 0, "low_resolution_share": 0}
VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "lr_1e-3": {"training": {"learning_rate": 1e-3}},
    "lr_2e-3": {"training": {"learning_rate": 2e-3}},
    "lr_8e-3": {"training": {"learning_rate": 8e-3}},
    "lr_16e-3": {"training": {"learning_rate": 16e-3}},
    "cosine": {"training": {"decay": "cosine"}},
    "wd_1e-4": {"training": {"weight_decay": 1e-4}},
    "wd_1e-1": {"training": {"weight_decay": 1e-1}},
    "sgd": {"training": {"optimiser": "sgd", "learning_rate": 1e-2, "weight_decay": 3e-5}},
    "clip_1": {"training": {"gradient_clip": 1.0}},
    "no_average": {"training": {"average_decay": 0.0}},
    "average_0.99": {"training": {"average_decay": 0.99}},
    "warmup_10": {"training": {"warmup": 0.1}},
    "dice_only_2": {"training": {"dice_weight": 2.0}},
    "dice_0": {"training": {"dice_weight": 0.0}},
    "batch_2": {"training": {"batch_size": 2}, "steps": 2.0},
    "batch_8": {"training": {"batch_size": 8}, "steps": 0.5},
    "no_augment": {"augment": {"affine_share": 0, **NO_INTENSITY}},
    "no_intensity": {"augment": NO_INTENSITY},
    "no_affine": {"augment": {"affine_share": 0}},
    "affine_all": {"augment": {"affine_share": 1.0}},
    "affine_strong": {"augment": {"affine_share": 0.8, "rotation_degrees": 30, "scale": 0.3}},
    "mirror_0": {"augment": {"mirror_axes": (0,)}},
    "mirror_0_tta": {"augment": {"mirror_axes": (0,)}, "inference": {"mirror_axes": (0,)}},
    "mirror_all_tta": {"augment": {"mirror_axes": (0, 1, 2)}, "inference": {"mirror_axes": (0, 1, 2)}},
    "plain": {"network": {"block": "plain"}},
    "bottleneck": {"network": {"block": "bottleneck"}},
    "norm_batch": {"network": {"norm": "batch"}},
    "norm_group": {"network": {"norm": "group"}},
    "leaky_relu": {"network": {"activation": "leaky_relu"}},
    "gelu": {"network": {"activation": "gelu"}},
    "interpolated": {"network": {"upsampling": "interpolated"}},
    "supervised": {"network": {"deep_supervision": True}},
    "blocks_1111": {"network": {"blocks": (1, 1, 1, 1)}},
    "blocks_2222": {"network": {"blocks": (2, 2, 2, 2)}},
    "blocks_1346": {"network": {"blocks": (1, 3, 4, 6)}},
    "decoder_2": {"network": {"decoder_blocks": (2, 2, 2)}},
    "width_24": {"network": {"channels": (24, 48, 96, 192)}},
    "width_32": {"network": {"channels": (32, 64, 128, 256)}},
    "narrow_top": {"network": {"channels": (16, 48, 96, 192)}},
    "three_stages": {
        "network": {
            "channels": (16, 32, 64),
            "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 2)),
            "kernels": ((3, 3, 3),) * 3,
            "blocks": (1, 2, 2),
            "decoder_blocks": (1, 1),
        }
    },
    "fp32": {"training": {"precision": "fp32"}},
}


def run_variant(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train and measure one variant."""
    import torch
    from medseg.evaluation.segmentation import summarise
    from medseg.inference.segmentation import InferenceConfig
    from medseg.manifest import assign_folds, load_manifest, manifest_target, split_fold
    from medseg.networks import NetworkConfig, count_parameters
    from medseg.networks.segmentation import UNet
    from medseg.preprocess import ChannelNormalisation, PreprocessConfig
    from medseg.preprocess.segmentation import prepare_cases
    from medseg.training import AugmentConfig, StepBudget
    from medseg.training.engine import run_task
    from medseg.training.segmentation import SegmentationInputs, SegmentationTask, TrainingConfig

    torch.set_num_threads(arguments.threads)
    variant = VARIANTS[name]
    manifest, root = load_manifest(arguments.data)
    training, validation = split_fold(assign_folds(manifest), arguments.fold)
    preprocess = PreprocessConfig(spacing_mm=(1, 1, 1), normalisation=(ChannelNormalisation(kind="zscore"),))
    stored = [
        prepare_cases(cases, manifest, root, config=preprocess, store=arguments.store).cases
        for cases in (training, validation)
    ]
    network = NetworkConfig(**{**BASE_NETWORK, **variant.get("network", {})})
    augment = AugmentConfig(**variant.get("augment", {}))
    config = TrainingConfig(
        patch_size=PATCH, seed=arguments.seed, validations=1, augment=augment, **variant.get("training", {})
    )
    inference = InferenceConfig(patch_size=PATCH, **variant.get("inference", {}))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    steps = int(arguments.steps * variant.get("steps", 1.0))
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        inputs = SegmentationInputs(
            *stored, manifest_target(manifest), network, config, inference, device, Path(folder)
        )
        result = run_task(SegmentationTask(inputs), StepBudget(steps))
    summary = summarise(result.rows)
    return {
        "variant": name,
        "seed": arguments.seed,
        "fold": arguments.fold,
        "dice": round(summary.means["dice"], 4),
        "labels": {entry.label: round(entry.mean, 4) for entry in summary.labels if entry.metric == "dice"},
        "steps": result.steps,
        "parameters": count_parameters(UNet(network)),
        "seconds": round(time.monotonic() - start, 1),
        "device": device.type,
    }


def main() -> None:
    """Run the variants, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=f"among {', '.join(VARIANTS)}; all if none")
    parser.add_argument("--data", type=Path, required=True, help="folder of the MSD hippocampus")
    parser.add_argument("--store", type=Path, required=True, help="prepared cases")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines to append to")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--parallel", type=int, default=1)
    arguments = parser.parse_args()
    names = arguments.variants or list(VARIANTS)
    if len(names) == 1:
        line = json.dumps(run_variant(names[0], arguments))
        print(line, flush=True)
        with arguments.out.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        return
    shared = [
        f"--{key}={getattr(arguments, key)}" for key in ("data", "store", "out", "steps", "seed", "fold", "threads")
    ]
    running: list[subprocess.Popen[bytes]] = []
    for name in names:
        while len(running) >= arguments.parallel:
            time.sleep(0.2)
            running = [process for process in running if process.poll() is None]
        running.append(subprocess.Popen([sys.executable, __file__, name, *shared]))
    for process in running:
        process.wait()


if __name__ == "__main__":
    main()
