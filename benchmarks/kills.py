#!/usr/bin/env python3
"""Trainings that are killed at random moments and resumed, against one that nobody disturbed.

    python -m benchmarks.kills [--kills 100] [--seed 0] [--folder FOLDER]

Moments are drawn uniformly over the duration of the undisturbed training, from its start to the end of its process; a
training is killed up to eight times in a row, each time begun again by the same command, and then left to end. What it
leaves must be the same, byte for byte, but for what a clock or a run's id decides: weights, checkpoint, tables, curves,
pictures, and the masks that both models draw. Its MLflow run must be one, finished, with the same steps and values of
every metric, each once. Trainings are forks of this process, which has imported everything; the last kills are of the
command itself, imports included. They save every 0.2 s at most, where longer ones do every 5 s.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.runs.killed_trainings import (
    SMALL,
    Kind,
    Place,
    content_of,
    differences,
    finish,
    fork,
    import_what_a_training_does,
    kill_after,
    leftovers,
    make_place,
    stage_of,
    tracked,
    wait_for,
)

SHARES: dict[Kind, float] = {"segmentation": 0.45, "classification": 0.35, "folds": 0.15}
MORE: dict[Kind, float] = {"update": 0.1, "curve": 0.1}  # beside the hundred, where they are named
MOST_IN_A_ROW = 8


@dataclass
class Killed:
    """What became of the trainings of one kind.

    Attributes:
        whole_s: Seconds of the undisturbed training.
        stages: Count of the kills by what the training was at.
        writing: Kills while a file was being written.
        trainings: Trainings that were killed and came to their end.
        differing: What differs from the undisturbed training, by training.
    """

    whole_s: float = 0.0
    stages: Counter[str] = field(default_factory=Counter)
    writing: int = 0
    trainings: int = 0
    differing: dict[str, list[str]] = field(default_factory=dict)


def main() -> int:
    """Kill, compare and print; the exit status is 1 if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="Working folder, which is kept.  [default: a temporary one]")
    parser.add_argument("--kinds", nargs="*", default=[*SHARES, "command"])
    parser.add_argument("--no-tracking", action="store_true", help="Without MLflow, which takes most of the time.")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, Killed] = {}
    for kind, share in (SHARES | MORE).items():
        if kind in arguments.kinds:
            place = make_place(folder, kind)
            import_what_a_training_does(place, is_tracked=not arguments.no_tracking)
            draw = random.Random(f"{arguments.seed} {kind}")  # noqa: S311
            count = round(share * arguments.kills)
            found[kind] = kill_many(place, count, draw, is_tracked=not arguments.no_tracking)
            print_table(found)
    if "command" in arguments.kinds:
        commands = make_place(folder, "segmentation")
        count = arguments.kills - sum(round(share * arguments.kills) for share in SHARES.values())
        draw = random.Random(f"{arguments.seed} command")  # noqa: S311
        found["command"] = kill_commands(commands, count, draw)
    print_table(found)
    if arguments.folder is None:
        shutil.rmtree(folder)
    return int(any(one.differing for one in found.values()))


def kill_many(place: Place, kills: int, draw: random.Random, *, is_tracked: bool) -> Killed:
    """Kill trainings so often in all, and compare each with an undisturbed one."""
    found, whole = Killed(), f"{place.kind}_whole"
    started = time.monotonic()
    finish(place, whole, is_tracked=is_tracked)
    found.whole_s = time.monotonic() - started
    expected, expected_runs = seen(place, whole, is_tracked=is_tracked)
    while sum(found.stages.values()) < kills:
        out = f"{place.kind}_{found.trainings}"
        in_a_row = min(draw.randint(1, MOST_IN_A_ROW), kills - sum(found.stages.values()))
        for _ in range(in_a_row):
            if not kill_after(place, out, draw.uniform(0, found.whole_s), is_tracked=is_tracked):
                break
            found.stages[stage_of(place, out)] += 1
            found.writing += bool(leftovers(place.folder / out))
        finish(place, out, is_tracked=is_tracked)
        found.trainings += 1
        content, runs = seen(place, out, is_tracked=is_tracked)
        if differing := [*differences(expected, content), *differences(expected_runs, runs, "mlflow")]:
            found.differing[out] = differing
        done = sum(found.stages.values())
        print(f"{out}: {done} kills, {'differs: ' + str(differing) if differing else 'the same'}", flush=True)
    return found


def kill_commands(place: Place, kills: int, draw: random.Random) -> Killed:
    """Kill the command itself, imports included."""
    found, folder = Killed(), place.folder
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL), encoding="utf-8")

    def command(out: str) -> list[str]:
        options = [
            "--epochs",
            str(place.epochs),
            "--seed",
            "3",
            "--config",
            "small.yaml",
            "--device",
            "cpu",
            "--resume",
        ]
        shared = ["--store", "store", "--tracking-uri", place.uri, "--workers", "2"]
        return [sys.executable, "-m", "medseg.workflows.cli", "train", "data", "--out", out, *options, *shared]

    def run(out: str, seconds: float | None) -> int:
        with (folder / f"{out}.log").open("a") as log:
            process = subprocess.Popen(command(out), cwd=folder, stdout=log, stderr=log)
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                return process.wait()

    started = time.monotonic()
    if run("command_whole", None):
        raise RuntimeError((folder / "command_whole.log").read_text())
    found.whole_s = time.monotonic() - started
    expected, expected_runs = seen(place, "command_whole")
    for _ in range(kills):
        seconds = draw.uniform(0, found.whole_s)
        if run("command_0", seconds) != -signal.SIGKILL:
            break
        found.stages["imports and after" if not (folder / "command_0").exists() else "after the imports"] += 1
        found.writing += bool(leftovers(folder / "command_0"))
    if run("command_0", None):
        raise RuntimeError((folder / "command_0.log").read_text())
    found.trainings = 1
    content, runs = seen(place, "command_0")
    if differing := [*differences(expected, content), *differences(expected_runs, runs, "mlflow")]:
        found.differing["command_0"] = differing
    return found


def seen(place: Place, out: str, *, is_tracked: bool = True) -> tuple[object, object]:
    """What a training left in its folder, with the masks that its model draws, and in MLflow."""
    content = content_of(place.folder / out)
    masks = place.folder / f"{out}_masks"
    if place.kind not in {"classification", "curve"}:

        def draw() -> None:
            import medseg

            medseg.predict(place.folder / out, place.folder / "data", out=masks, split="training", device="cpu")

        if wait_for(fork(place, draw, f"{out}.log")):
            raise RuntimeError((place.folder / f"{out}.log").read_text())
        content |= {f"masks/{path.name}": path.read_bytes() for path in sorted(masks.glob("*.nii.gz"))}
    return content, tracked(place, out) if is_tracked else {}


def print_table(found: dict[str, Killed]) -> None:
    """A table of kinds, and one of the stages that were hit."""
    print("\n| training | undisturbed, s | kills | in the middle of a file | trainings | the same |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind, one in found.items():
        same = one.trainings - len(one.differing)
        kills = sum(one.stages.values())
        print(f"| {kind} | {one.whole_s:.1f} | {kills} | {one.writing} | {one.trainings} | {same} |")
    stages = sorted({stage for one in found.values() for stage in one.stages})
    print(f"\n| killed at | {' | '.join(found)} |")
    print(f"| --- |{' --- |' * len(found)}")
    for stage in stages:
        print(f"| {stage} | {' | '.join(str(one.stages[stage]) for one in found.values())} |")
    for kind, one in found.items():
        for out, differing in one.differing.items():
            print(f"{kind} {out} differs: {differing[:10]}")
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
