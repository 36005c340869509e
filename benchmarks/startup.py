"""How long commands take as whole processes, start-up included.

    medseg train "$MEDSEG_DATA/msd_hippocampus" --fold 0 --budget 1m --out run --no-tracking
    python benchmarks/startup.py run

Prints the median of three for the help texts, one hippocampus crop and forty of them, beside the seconds that each may
take on two cores that do nothing else, and their CPU time; `--imports` also prints what the prediction of one crop
imports, the slowest first. The scans are those of `msd_hippocampus` in the folder that MEDSEG_DATA names.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

_REPEATS = 3
_SHOWN = 25
_IMPORT = re.compile(r"import time: +\d+ \| +(\d+) \| +(\S+)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a training on msd_hippocampus")
    parser.add_argument("--imports", action="store_true", help="print what the prediction of one crop imports")
    arguments = parser.parse_args()
    if "MEDSEG_DATA" not in os.environ:
        raise SystemExit("MEDSEG_DATA must name the folder of the real scans")
    crops = sorted((Path(os.environ["MEDSEG_DATA"]) / "msd_hippocampus" / "imagesTr").glob("[!.]*.nii.gz"))[:40]
    predict = ["predict", str(arguments.run.resolve())]
    rows: list[tuple[str, list[str], float]] = [
        ("medseg --help", ["--help"], 0.5),
        ("medseg predict --help", ["predict", "--help"], 0.5),
        ("one hippocampus crop", [*predict, *map(str, crops[:1])], 3.0),
        (f"{len(crops)} hippocampus crops", [*predict, *map(str, crops)], 5.0),
    ]
    print("| whole process | median of 3, s | lowest | highest | at most | CPU, s |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, words, limit in rows:
        _medseg(words)  # compiles the modules, as an installation does, and brings files into the system's memory
        walls, busy = zip(*(_seconds(words) for _ in range(_REPEATS)), strict=True)
        wall = f"{median(walls):.2f} | {min(walls):.2f} | {max(walls):.2f}"
        print(f"| {name} | {wall} | {limit:g} | {median(busy):.2f} |", flush=True)
    if arguments.imports:
        _print_imports(rows[2][1])


def _seconds(words: list[str]) -> tuple[float, float]:
    """Wall clock and CPU time of one command."""
    before, start = os.times(), time.perf_counter()
    _medseg(words)
    wall, after = time.perf_counter() - start, os.times()
    return wall, sum(after[2:4]) - sum(before[2:4])  # of ended children


def _medseg(words: list[str], *flags: str) -> str:
    """Run one command in a process and a folder of its own; what it writes on standard error."""
    with tempfile.TemporaryDirectory() as scratch:
        out = ["--out", f"{scratch}/masks"] if "--help" not in words else []
        command = [sys.executable, *flags, "-c", "from medseg.workflows.cli import main; main()", *words, *out]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(command, cwd=scratch, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"medseg {' '.join(words)}: exit status {done.returncode}\n{done.stderr}")
    return done.stderr


def _print_imports(words: list[str]) -> None:
    """Packages by the time that their first import takes, with all that they import in turn."""
    found = [match.groups() for match in _IMPORT.finditer(_medseg(words, "-X", "importtime"))]
    times = {name: int(total) / 1000 for total, name in found if "." not in name or name.startswith("medseg.")}
    print("\n| import, with all that it imports | ms |\n| --- | --- |")
    for name, milliseconds in sorted(times.items(), key=lambda item: -item[1])[:_SHOWN]:
        print(f"| {name} | {milliseconds:.0f} |")


if __name__ == "__main__":
    main()
