"""The numbers of the whole route, as checksums: what a change of structure must leave as it is.

    python benchmarks/pinned.py --data "$MEDSEG_DATA" --out before.json                    # before the change
    python benchmarks/pinned.py --data "$MEDSEG_DATA" --out after.json --against before.json

Runs `medseg ingest` on sts_sarcoma and dicom_edge, `audit` and `split` on the first, `train` (one epoch), `predict` and
`evaluate` and the slice classifier's commands on msd_hippocampus, and records the SHA-256 of everything that they write
but for times, folders, pictures and pages. Takes about five minutes on two cores. The sums hold for one machine, one
number of threads and one version of PyTorch, so they are compared and not kept.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_VARIABLE = {"seconds", "peak_memory_bytes", "mlflow_run_id", "tracking_uri", "created", "steps_per_second", "store"}
_RENAMED: dict[str, str] = {}
_SKIPPED = {".png", ".html", ".csv.gz"}


def main() -> int:
    """Record, and compare with an earlier record.

    Returns:
        0 if nothing is compared or all sums are equal, else 1.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the real scans")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the sums")
    parser.add_argument("--against", type=Path, help="an earlier file of sums")
    parser.add_argument("--keep", type=Path, help="folder for what the commands write  (default: thrown away)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        _run_route(arguments.data.resolve(), folder.resolve())
        sums = dict(_sums(folder))
    arguments.out.write_text(json.dumps(sums, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"{len(sums)} files in {arguments.out}")
    if arguments.against is None:
        return 0
    return _compare(json.loads(arguments.against.read_text(encoding="utf-8")), sums)


def _run_route(data: Path, folder: Path) -> None:
    key = folder / "key"
    key.write_text("0123456789abcdef" * 4 + "\n", encoding="utf-8")
    for name in ("sts_sarcoma", "dicom_edge"):
        _medseg(folder, "ingest", data / name, "--out", folder / name, "--key", key, "--workers", 2, codes={0, 1})
    _medseg(folder, "audit", "sts_sarcoma", "--out", "audit", codes={0, 1})
    _medseg(
        folder,
        "split",
        "sts_sarcoma",
        "--folds",
        3,
        "--test",
        0.2,
        "--out",
        "split/dataset.json",
        "--data-root",
        "sts_sarcoma",
    )
    hippocampus = data / "msd_hippocampus" / "dataset.json"
    fold = ("--fold", 0)
    _medseg(folder, "train", hippocampus, "--out", "run", "--epochs", 1, *fold, "--no-tracking")
    _medseg(folder, "predict", "run", hippocampus, "--out", "masks", *fold)
    _medseg(folder, "evaluate", hippocampus, "--masks", "masks", "--out", "evaluation", *fold, "--no-tracking")
    plane = ("--plane", "coronal")
    _medseg(
        folder, "classify", "train", hippocampus, "--out", "classifier", "--epochs", 1, *fold, *plane, "--no-tracking"
    )
    _medseg(folder, "classify", "predict", "classifier", hippocampus, "--out", "triage", *fold)
    _medseg(folder, "classify", "evaluate", "classifier", hippocampus, "--out", "classified", *fold, "--no-tracking")
    _medseg(folder, "predict", "run", hippocampus, "--out", "gated", *fold, "--gate", "classifier", codes={0, 1})


def _medseg(folder: Path, *words: object, codes: frozenset[int] | set[int] = frozenset({0})) -> None:
    """Run one command in the folder, and show what it says if it ends badly."""
    print("medseg", *words, flush=True)
    command = [str(Path(sys.executable).with_name("medseg")), *map(str, words)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in codes:
        raise SystemExit(f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}")


def _sums(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and path.suffix not in _SKIPPED and not name.startswith("medseg_store"):
            yield name, hashlib.sha256(_content(path, folder)).hexdigest()


def _content(path: Path, folder: Path) -> bytes:
    """The bytes of a file, without times and folders; of an archive what it holds."""
    if path.name.endswith(".gz"):
        return gzip.decompress(path.read_bytes())
    if path.suffix == ".json":
        text = json.dumps(_stable(json.loads(path.read_text(encoding="utf-8"))), sort_keys=True, indent=1)
        return text.replace(str(folder), "FOLDER").encode()
    if path.name == "curves.csv":
        return "\n".join(",".join(line.split(",")[:4]) for line in path.read_text().splitlines()).encode()
    if path.name == "checkpoint.safetensors":
        return _without_time(path.read_bytes())
    return path.read_bytes()


def _stable(value: Any) -> Any:
    if isinstance(value, dict):
        return {_RENAMED.get(key, key): _stable(item) for key, item in value.items() if key not in _VARIABLE}
    return [_stable(item) for item in value] if isinstance(value, list) else value


def _without_time(content: bytes) -> bytes:
    """The tensors of a checkpoint; its header holds seconds."""
    length = int.from_bytes(content[:8], "little")
    return content[8 + length :]


def _compare(before: dict[str, str], after: dict[str, str]) -> int:
    differing = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    for name in differing:
        state = "gone" if name not in after else "new" if name not in before else "differs"
        print(f"{state}: {name}")
    print(f"{len(differing)} of {len(before)} differ")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
