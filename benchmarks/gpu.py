#!/usr/bin/env python3
"""Everything that a CUDA machine can tell of medseg, by one command and within eight minutes.

    python benchmarks/gpu.py --prepare "$MEDSEG_DATA/msd_hippocampus"   # once, on any machine: fills gpu_store
    python benchmarks/gpu.py --out gpu_results                          # on the CUDA machine
    python benchmarks/gpu.py --out gpu_results --device cpu --quick     # the same script on tiny sizes, to try it

Needs PyTorch, MONAI, Ignite and what medseg's training imports; no network, SimpleITK, pydicom, MLflow or pandas. Every
part runs in a process of its own until its time is over, and prints each number when it has it; time that a part leaves
goes to those after it. FOLDER gets rows.jsonl (as they come), rows.csv, table.md, machine.json,
dice_against_time.csv and log.txt.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = [str(ROOT / "pipeline"), str(ROOT)]  # medseg need not be installed
sys.path[:0] = PLACES
PARTS_S = {"tests": 90, "steps": 110, "accuracy": 200, "inference": 64, "sizes": 42}
_QUICK_S = 300  # a bound for a busy machine; an idle one needs a minute for all parts


def main() -> int:
    """Run the parts in order, then print one table.

    Returns:
        0 if every part ended by itself and well, else 1.
    """
    started = time.monotonic()
    arguments = _parse()
    if arguments.prepare is not None:
        return _prepare(arguments)
    if arguments.part is not None:
        return _run_part(arguments)
    out: Path = arguments.out
    if out.exists() and not out.is_dir():
        sys.exit(f"gpu.py: --out must be a folder, got the file {out}")
    _check_device(arguments.device)
    _check_store(arguments)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("rows.jsonl", "rows.csv", "table.md", "machine.json", "dice_against_time.csv", "log.txt"):
        (out / name).unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a part never outlives a time limit
    troubles: list[str] = []
    try:
        _run_parts(arguments, troubles, started=started)
    except KeyboardInterrupt:
        troubles.append("stopped from outside")
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
    arguments = parser.parse_args()
    arguments.out, arguments.store = arguments.out.resolve(), arguments.store.resolve()
    arguments.only = list(dict.fromkeys(arguments.only))
    return arguments


def _check_device(device: str) -> None:
    """End with a usage error where there is no such device."""
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("gpu.py: no CUDA GPU here; --device cpu --quick tries the script without one")


def _check_store(arguments: argparse.Namespace) -> None:
    """End before the first part where the accuracy part would find nothing to train on."""
    if "accuracy" in arguments.only and not arguments.quick and not (arguments.store / "cohort.json").exists():
        sys.exit(
            f"gpu.py: {arguments.store} holds no prepared cases; fill it with --prepare DATASET, or name other "
            "parts with --only"
        )


def _prepare(arguments: argparse.Namespace) -> int:
    from benchmarks.gpu_parts.accuracy import foreign_files, prepare

    store: Path = arguments.store
    if foreign_files(store):
        sys.exit(f"gpu.py: {store} must be a store that --prepare wrote, or empty, got other files; choose another")
    with tempfile.TemporaryDirectory(dir=store.parent, prefix=f".{store.name}.", suffix=".part") as folder:
        count = prepare(arguments.prepare, Path(folder) / "new")
        if store.exists():
            store.rename(Path(folder) / "old")
        (Path(folder) / "new").rename(store)
    megabytes = sum(path.stat().st_size for path in store.rglob("*")) / 1e6
    print(f"{count} cases, {megabytes:.1f} MB in {store}")
    return 0


def _run_parts(arguments: argparse.Namespace, troubles: list[str], *, started: float) -> None:
    """Run each part until its share of the time is over, and add what went wrong."""
    deadline = started
    with tempfile.TemporaryDirectory(prefix="medseg_gpu_", ignore_cleanup_errors=True) as scratch:
        for part in arguments.only:
            deadline += _QUICK_S if arguments.quick else PARTS_S[part]
            start = time.monotonic()
            print(f"{part} (at most {deadline - start:.0f} s)", flush=True)
            ending = _run_within(arguments, part, Path(scratch) / part, deadline)
            print(f"{part}: {ending or 'done'} after {time.monotonic() - start:.0f} s", flush=True)
            if ending:
                troubles.append(f"{part}: {ending}")


def _run_within(arguments: argparse.Namespace, part: str, scratch: Path, deadline: float) -> str | None:
    """Run one part in a process of its own; None if it ended well."""
    scratch.mkdir()
    command = [sys.executable, __file__, "--part", part, "--device", arguments.device, "--out", str(arguments.out)]
    command += ["--store", str(arguments.store), "--deadline", str(deadline), *(["--quick"] if arguments.quick else [])]
    places = [*PLACES, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places), "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command, env=environment, process_group=0, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    copier = threading.Thread(target=_copy_output, args=(process, arguments.out / "log.txt"), daemon=True)
    copier.start()
    try:
        code = process.wait(timeout=deadline - time.monotonic())
    except subprocess.TimeoutExpired:
        return "cut off"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also what the part left running
        process.wait()
        copier.join(timeout=5)
    return f"failed with exit status {code}" if code else None


def _copy_output(process: subprocess.Popen[str], path: Path) -> None:
    """Show what a part says, and keep it."""
    if process.stdout is None:
        return
    with process.stdout, path.open("a", encoding="utf-8") as log:
        for line in process.stdout:
            print(line, end="", flush=True)
            log.write(line)
            log.flush()


def _run_part(arguments: argparse.Namespace) -> int:
    """What the process of one part does."""
    from benchmarks.gpu_parts.context import Context, describe_machine, device_name, forbid_imports

    forbid_imports()
    import torch

    from benchmarks.gpu_parts import accuracy, gpu_tests, inference, sizes, steps
    from benchmarks.gpu_parts.row import Rows

    if arguments.quick:
        torch.set_num_threads(1)  # threads that wait for each other make tiny networks ten times slower
    device = torch.device(arguments.device, 0) if arguments.device == "cuda" else torch.device("cpu")
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
