#!/usr/bin/env python3
"""Everything that a CUDA machine can tell of medseg, by one command and within eight minutes.

    python benchmarks/gpu.py --prepare "$MEDSEG_DATA/msd_hippocampus"   # once, on any machine: fills gpu_store
    python benchmarks/gpu.py --out gpu_results                          # on the CUDA machine
    python benchmarks/gpu.py --out gpu_results --device cpu --quick     # the same script on tiny sizes, to try it

Needs PyTorch, MONAI, Ignite and what medseg's training imports; no network, SimpleITK, pydicom, MLflow or pandas. Every
part runs in a process of its own until its time is over, and prints each number when it has it; time that a part leaves
goes to those after it. FOLDER gets rows.jsonl (as they come), rows.csv, table.md, machine.json and
dice_against_time.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PARTS_S = {"tests": 60, "steps": 95, "accuracy": 255, "inference": 36, "sizes": 28}
_QUICK_S = 110


def main() -> int:
    """Run the parts in order, then print one table.

    Returns:
        0 if every part ended by itself and well, else 1.
    """
    arguments = _parse()
    if arguments.prepare is not None:
        return _prepare(arguments)
    if arguments.part is not None:
        return _run_part(arguments)
    _check_device(arguments.device)
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    for name in ("rows.jsonl", "rows.csv", "table.md", "machine.json", "dice_against_time.csv"):
        (out / name).unlink(missing_ok=True)
    troubles = _run_parts(arguments)
    _summarise(out, troubles)
    return 1 if troubles else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu_results"), metavar="FOLDER", help="folder of the results")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="where to run (default cuda)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: tries the script, measures nothing of worth")
    parser.add_argument("--only", nargs="+", choices=list(PARTS_S), default=list(PARTS_S), help="run these parts")
    parser.add_argument("--store", type=Path, default=ROOT / "gpu_store", help="prepared cases (default gpu_store)")
    parser.add_argument("--prepare", type=Path, metavar="DATASET", help="fill the store from a dataset, and stop")
    parser.add_argument("--part", choices=list(PARTS_S), help=argparse.SUPPRESS)
    parser.add_argument("--deadline", type=float, help=argparse.SUPPRESS)
    return parser.parse_args()


def _check_device(device: str) -> None:
    """End with a usage error where there is no such device."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu.py: no CUDA GPU here; --device cpu --quick tries the script without one")


def _prepare(arguments: argparse.Namespace) -> int:
    from benchmarks.gpu_parts.accuracy import COHORT_NAME, prepare

    store: Path = arguments.store
    if (store / COHORT_NAME).exists():
        shutil.rmtree(store)
    elif store.exists() and any(store.iterdir()):
        sys.exit(f"gpu.py: {store} must be a store that --prepare wrote, or empty, got other files; choose another")
    count = prepare(arguments.prepare, store)
    megabytes = sum(path.stat().st_size for path in store.rglob("*")) / 1e6
    print(f"{count} cases, {megabytes:.1f} MB in {store}")
    return 0


def _run_parts(arguments: argparse.Namespace) -> list[str]:
    """Run each part until its share of the time is over; what went wrong."""
    troubles = []
    deadline = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="medseg_gpu_") as scratch:
        for part in arguments.only:
            deadline += _QUICK_S if arguments.quick else PARTS_S[part]
            start = time.monotonic()
            print(f"{part} (at most {deadline - start:.0f} s)", flush=True)
            ending = _run_within(arguments, part, Path(scratch) / part, deadline)
            print(f"{part}: {ending or 'done'} after {time.monotonic() - start:.0f} s", flush=True)
            if ending:
                troubles.append(f"{part}: {ending}")
    return troubles


def _run_within(arguments: argparse.Namespace, part: str, scratch: Path, deadline: float) -> str | None:
    """Run one part in a process of its own; None if it ended well."""
    scratch.mkdir()
    command = [sys.executable, __file__, "--part", part, "--device", arguments.device, "--out", str(arguments.out)]
    command += ["--store", str(arguments.store), "--deadline", str(deadline), *(["--quick"] if arguments.quick else [])]
    places = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places), "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, env=environment, process_group=0)
    try:
        code = process.wait(timeout=deadline - time.monotonic())
    except subprocess.TimeoutExpired:
        return "cut off"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return f"failed with exit status {code}" if code else None


def _run_part(arguments: argparse.Namespace) -> int:
    """What the process of one part does."""
    from benchmarks.gpu_parts.context import Context, describe_machine, device_name, forbid_imports

    forbid_imports()
    import torch

    from benchmarks.gpu_parts import accuracy, gpu_tests, inference, sizes, steps
    from benchmarks.gpu_parts.row import Rows

    device = torch.device(arguments.device)
    (arguments.out / "machine.json").write_text(json.dumps(describe_machine(device), indent=1), encoding="utf-8")
    rows = Rows(arguments.part, device=device_name(device), path=arguments.out / "rows.jsonl")
    parts = {"tests": gpu_tests, "steps": steps, "accuracy": accuracy, "inference": inference, "sizes": sizes}
    scratch = Path(tempfile.gettempdir())
    context = Context(
        device=device,
        is_quick=arguments.quick,
        store=arguments.store,
        scratch=scratch,
        out=arguments.out,
        rows=rows,
        deadline=arguments.deadline,
    )
    parts[arguments.part].run(context)
    return 0


def _summarise(out: Path, troubles: list[str]) -> None:
    """Print the table, and write it beside the rows."""
    from benchmarks.gpu_parts.row import markdown, read_rows, write_csv

    rows, notes = read_rows(out / "rows.jsonl")
    write_csv(rows, out / "rows.csv")
    lines = [markdown(rows), "", *(f"* {text}" for text in (*notes, *troubles))]
    (out / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n" + "\n".join(lines), flush=True)


if __name__ == "__main__":
    sys.exit(main())
