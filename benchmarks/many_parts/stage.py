"""One command as a process of its own, with its time and its memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]  # it ships no types

_EVERY_S = 0.2


class Measured(NamedTuple):
    """What a command took.

    Attributes:
        seconds: Seconds from its start to its end.
        peak_bytes: `ru_maxrss` of the process, or of a process that it waited for, if that is more.
        tree_bytes: Most memory of the process and all processes below it together, looked at every 0.2 s.
    """

    seconds: float
    peak_bytes: int
    tree_bytes: int


def run_stage(name: str, arguments: list[str], *, folder: Path) -> Measured:
    """Run `medseg` in a folder, with its output and the course of its memory in files there.

    Args:
        name: Name of the stage and of its files.
        arguments: Verb and arguments.
        folder: Working folder.
    """
    command = [str(Path(sys.executable).with_name("medseg")), *arguments]
    if not Path(command[0]).is_file():
        command = [sys.executable, "-m", "medseg", *arguments]
    course: list[tuple[float, int]] = []
    with (folder / f"{name}.log").open("wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        over = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, start, course, over))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        over.set()
        watcher.join()
    lines = [f"{second:.1f},{size / 2**20:.0f}\n" for second, size in course]
    (folder / f"{name}_memory.csv").write_text("second,MiB\n" + "".join(lines))
    if status and arguments[0] != "audit":  # which ends with 1 where it finds errors, such as copies of one scan
        text = (folder / f"{name}.log").read_text(errors="replace")
        sys.exit(f"many_labels.py: medseg {arguments[0]} failed:\n{text[-2000:]}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Measured(seconds, peak, max((size for _, size in course), default=peak))


def _watch(pid: int, start: float, course: list[tuple[float, int]], over: threading.Event) -> None:
    while not over.wait(_EVERY_S):
        try:
            process = psutil.Process(pid)
            every = [process, *process.children(recursive=True)]
            size = sum(one.memory_info().rss for one in every)
        except psutil.Error:
            continue
        course.append((time.perf_counter() - start, size))
