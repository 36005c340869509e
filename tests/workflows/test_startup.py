"""What `medseg predict` imports: waiting for packages that it does not use takes longer than a small scan."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from medseg.geometry import Geometry
from medseg.inference.segmentation import InferenceConfig, ModelCard, save_card
from medseg.networks import NetworkConfig, save_weights
from medseg.networks.segmentation import build_network
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.scans import write_scan

NOT_NEEDED = (
    "SimpleITK", "blosc2", "highdicom", "ignite", "jinja2", "matplotlib", "medseg.delivery", "medseg.evaluation",
    "medseg.inference.classification", "medseg.planning", "medseg.tracking", "medseg.training.engine", "mlflow",
    "monai", "pandas", "scipy.ndimage", "scipy.signal", "scipy.stats", "skimage", "sklearn", "sympy", "torch._dynamo",
    "torch._inductor",
)  # fmt: skip
REPORT = """
import sys
from medseg.workflows.cli import main
sys.argv = ["medseg", "predict", *{arguments!r}]
try:
    main()
except SystemExit as stopped:
    assert not stopped.code, stopped.code
print(*sorted(name for name in sys.modules if name in {names!r}))
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with a small UNet of random weights."""
    network = NetworkConfig(
        spatial_dims=3,
        in_channels=1,
        out_channels=2,
        channels=(4, 8),
        strides=((1, 1, 1), (2, 2, 2)),
        kernels=((3, 3, 3), (3, 3, 3)),
        blocks=(1, 1),
        decoder_blocks=(1,),
    )
    card = ModelCard(
        medseg_version="0.1.0",
        dataset="made up 1",
        channels=("MR",),
        labels={"background": 0, "organ": 1},
        network=network,
        preprocess=PreprocessConfig(
            axcodes="RAS", spacing_mm=(2.0, 2.0, 2.0), normalisation=(ChannelNormalisation(kind="zscore"),)
        ),
        inference=InferenceConfig(patch_size=(8, 8, 8), mirror_axes=(0,)),
        trained_on=(),
        manifest_digest="",
        plan_digest="",
    )
    folder = tmp_path / "run" / "model"
    save_card(card, folder)
    save_weights(build_network(network).state_dict(), folder / "last.safetensors")
    return folder.parent


def test_prediction_of_a_scan_imports_only_what_it_uses(run: Path, tmp_path: Path) -> None:
    scan, out = tmp_path / "scan.nii.gz", tmp_path / "masks"
    array = torch.randn(1, 12, 14, 10, generator=torch.Generator().manual_seed(0)).numpy()
    write_scan(array, Geometry((12, 14, 10), np.diag([1.5, 2.0, 3.0, 1.0])), scan)
    code = REPORT.format(arguments=[str(run), str(scan), "--out", str(out)], names=NOT_NEEDED)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (out / "scan.nii.gz").is_file()
    assert done.stdout.splitlines()[-1].split() == []


@pytest.mark.parametrize(
    ("own", "used"),
    [
        ({}, "PASSIVE 1000"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE None"),
        ({"GOMP_SPINCOUNT": "7"}, "None 7"),
    ],
)
def test_waiting_threads_sleep_soon_in_every_command_unless_the_user_chose(own: dict[str, str], used: str) -> None:
    script = (
        "import os, sys; from medseg.workflows import cli\n"
        "def command(**_):\n"
        "    assert 'torch' not in sys.modules\n"
        "    print(os.environ.get('OMP_WAIT_POLICY'), os.environ.get('GOMP_SPINCOUNT'))\n"
        "cli.run_command(command)"
    )
    names = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in names} | own
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == used, done.stderr


def test_dead_cycles_are_not_searched_at_the_end_and_files_of_the_process_are_removed_all_the_same() -> None:
    script = (
        "import gc, sys, tempfile, weakref; from medseg.workflows import cli\n"
        "class Cycle:\n"
        "    def __del__(self): print('searched')\n"
        "def command(**_):\n"
        "    assert gc.isenabled()\n"
        "    gc.disable()\n"
        "    one, two = Cycle(), Cycle()\n"
        "    one.other, two.other = two, one\n"
        "    globals()['folder'] = tempfile.TemporaryDirectory()\n"
        "    print(folder.name)\n"
        "cli.run_command(command)"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    folder, *others = done.stdout.split()
    assert others == []
    assert not Path(folder).exists()
