"""Run the notebooks once, and keep the copies with their outputs in `build/notebooks`.

A copy is used again as long as nothing that it rests on has changed: the notebook, the library and the commands, the
pinned versions and the version of Python. `make docs` renders the copies, and the tests read them instead of running
the same notebook a second time.

Usage: `python -m docs.execute_notebooks`.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
EXECUTED = ROOT / "build" / "notebooks"
_AT_ONCE = 2
_LONG = ("03_unet_on_a_small_dataset", "06_review_in_mlflow")


def main() -> None:
    """Run every notebook whose copy is missing or out of date, two at a time, the longest ones first."""
    EXECUTED.mkdir(parents=True, exist_ok=True)
    threads = str(max(1, (os.cpu_count() or 1) // _AT_ONCE))
    os.environ |= {"OMP_NUM_THREADS": threads}
    outdated = [path for path in notebooks() if executed_copy(path) is None]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for report in pool.map(_execute_and_keep, sorted(outdated, key=lambda path: path.stem not in _LONG)):
            sys.stdout.write(f"{report}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(outdated)} notebooks run, {len(notebooks()) - len(outdated)} up to date\n")


def notebooks() -> list[Path]:
    """The numbered notebooks, in their order."""
    return sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """A notebook with the outputs of a run in a fresh kernel.

    Args:
        path: Notebook without outputs; it is not changed.
        folder: Empty folder in which it runs.

    Raises:
        CellExecutionError: If a cell fails.
        RuntimeError: If the notebook leaves a file in the folder.
    """
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": folder}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],  # silent about plain TCP on this machine
    )
    client.execute()
    if left := sorted(entry.name for entry in folder.iterdir()):
        raise RuntimeError(f"{path.name} must leave nothing in the working folder, got {left}")
    return notebook


def executed_copy(path: Path) -> nbformat.NotebookNode | None:
    """The kept copy of a notebook with its outputs; None if there is none, or if it is out of date."""
    copy = EXECUTED / path.name
    if not copy.is_file():
        return None
    notebook = nbformat.read(copy, as_version=4)
    return notebook if notebook.metadata.get("medseg_digest") == digest(path) else None


def digest(path: Path) -> str:
    """SHA-256 of all that the outputs of a notebook rest on."""
    sources = [entry for entry in (ROOT / "pipeline").rglob("*") if _is_source(entry)]
    sources += (ROOT / "workflows").glob("*.py")
    total = hashlib.sha256(sys.version.encode())
    for source in [path, ROOT / "constraints.txt", *sorted(sources)]:
        total.update(source.relative_to(ROOT).as_posix().encode())
        total.update(hashlib.sha256(source.read_bytes()).digest())
    return total.hexdigest()


def _execute_and_keep(path: Path) -> str:
    """Run a notebook in an empty folder, and report how long it took."""
    started, before = time.monotonic(), digest(path)
    with tempfile.TemporaryDirectory(prefix="medseg_notebook_") as folder:
        notebook = execute(path, Path(folder))
    notebook.metadata["medseg_digest"] = before
    nbformat.write(notebook, EXECUTED / path.name)
    return f"{path.name}: {time.monotonic() - started:.0f} s"


def _is_source(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and "egg-info" not in str(path)


if __name__ == "__main__":
    main()
