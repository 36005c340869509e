"""Kill trainings where it hurts, or send them a scheduler's signal, and tell in JSON what came of it.

python -m tests.runs.killed_in_places FOLDER
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.runs.killed_trainings import (
    SLICES,
    SMALL,
    Place,
    Stages,
    begin,
    content_of,
    differences,
    finish,
    fork,
    import_what_a_training_does,
    make_place,
    stage_file,
    tracked,
    wait_for,
)

Hook = Callable[[str], None]
SEGMENTATION = ("before run.json", "after best.safetensors", "after validation.json")
CLASSIFICATION = ("before checkpoint.safetensors 2",)
SIGNALS = ("prepare",)
MORE = (
    "stage start", "before plan.yaml", "after plan.yaml", "after run.json", "before checkpoint.safetensors 3",
    "stage train 6", "stage validate 2", "stage end",
)  # fmt: skip


def main(folder: Path, *, is_all: bool) -> None:
    """Do all of it; the last line of the output is the answer."""
    masks, slices = make_place(folder, "segmentation"), make_place(folder, "classification")
    masks, slices = masks._replace(epochs=4), slices._replace(epochs=4)
    import_what_a_training_does(masks)
    moments = SEGMENTATION + (MORE if is_all else ())
    told: dict[str, Any] = {"segmentation": killed_at(masks, moments, whole="segmentation_first")}
    finish(slices, "slices", is_tracked=False)
    told["classification"] = killed_at(slices, CLASSIFICATION, whole="slices", is_tracked=False)
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    (folder / "slices.yaml").write_text(yaml.safe_dump(SLICES))
    names = SIGNALS + (("plan", "train", "validate", "twice") if is_all else ())
    told["signals"] = {name: signalled(masks, name) for name in names}
    told["signals"]["classify"] = signalled(slices, "train", verb=("classify", "train"), config="slices.yaml")
    print(json.dumps(told))  # noqa: T201  # its answer


def killed_at(place: Place, moments: tuple[str, ...], *, whole: str, is_tracked: bool = True) -> dict[str, Any]:
    """Kill one training at each of some moments, let it end, and say what differs from an undisturbed one."""
    out, codes = f"{place.kind}_killed", {}
    for moment in moments:
        when, name, *number = moment.split(" ")
        hook = at_call(lambda: os.kill(os.getpid(), signal.SIGKILL), int(number[0]) if number else 1)
        if when == "stage":
            on_stage = only(name, hook)
            process = begin(place, out, on_stage=on_stage, is_tracked=is_tracked)
        else:
            process = begin(place, out, on_stage=at_rename(when, name, hook), is_tracked=is_tracked)
        codes[moment] = wait_for(process)
    finish(place, out, is_tracked=is_tracked)
    found = differences(content_of(place.folder / whole), content_of(place.folder / out))
    if is_tracked:
        found += differences(tracked(place, whole), tracked(place, out), "mlflow")
    return {"codes": codes, "differing": found}


def at_call(work: Callable[[], None], number: int) -> Callable[[], None]:
    """A function that does some work when it is called for the n-th time."""
    calls = [0]

    def count() -> None:
        calls[0] += 1
        if calls[0] == number:
            work()

    return count


def only(name: str, hook: Callable[[], None]) -> Hook:
    """Call a hook at one stage."""
    return lambda stage: hook() if stage == name else None


def at_rename(when: str, name: str, hook: Callable[[], None]) -> Hook:
    """Call a hook before or after a file gets its name, from the first stage on."""
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if when == "before" and target.name == name:
            hook()
        moved = real(path, target)
        if when == "after" and target.name == name:
            hook()
        return moved

    def patch(stage: str) -> None:
        Path.replace = replace  # type: ignore[method-assign]  # in a fork that ends

    return patch


def signalled(
    place: Place, name: str, *, verb: tuple[str, ...] = ("train",), config: str = "small.yaml"
) -> dict[str, Any]:
    """Send SIGTERM to a command at a stage, and resume it."""
    out = f"{'_'.join(verb)}_{name}"
    sent = place.folder / f"{out}.sent"

    def send() -> None:
        sent.write_text(str(time.monotonic()))
        os.kill(os.getpid(), signal.SIGTERM)
        if name == "twice":
            os.kill(os.getpid(), signal.SIGTERM)

    def command(hook: Hook) -> None:
        from medseg.workflows import bars, cli

        bars.Bars = lambda: Stages(stage_file(place, out), hook)  # type: ignore[misc,assignment]  # in a fork that ends
        options = ["--out", out, "--epochs", str(place.epochs), "--seed", "3", "--config", config, "--no-tracking"]
        plane = ["--plane", "coronal"] if "classify" in verb else []
        store = ["--store", f"store_{name}" if name in {"plan", "prepare"} else "store", "--workers", "2"]
        sys.argv = ["medseg", *verb, "data", "--resume", "--device", "cpu", *options, *store, *plane]
        cli.main()

    def interrupted() -> None:
        if name == "prepare":
            hang_in("medseg.preprocess.segmentation.prepare", "save_case", send)
        elif name == "validate":
            hang_in("medseg.training.segmentation.task", "validate_volume", send, main_thread=True)
        stage = {"twice": "train", "validate": "", "prepare": ""}.get(name, name)
        command(only(stage, at_call(send, 5 if stage == "train" else 1)))

    if name == "twice":  # the first one saves, which hangs
        code = wait_for(fork(place, lambda: (hang_in("medseg.training.saving", "save_checkpoint"), interrupted()), out))
    else:
        code = wait_for(fork(place, interrupted, f"{out}.log"))
    seconds = time.monotonic() - float(sent.read_text())
    is_saved = (place.folder / out / "checkpoint.safetensors").exists()
    resumed = wait_for(fork(place, lambda: command(lambda stage: None), f"{out}.log"))
    whole = "slices" if "classify" in verb else "segmentation_first"
    weights = [place.folder / folder / "model" / "last.safetensors" for folder in (whole, out)]
    is_same = resumed == 0 and weights[0].read_bytes() == weights[1].read_bytes()
    return {"code": code, "seconds": seconds, "is_saved": is_saved, "resumed": resumed, "is_same": is_same}


def hang_in(module: str, name: str, send: Callable[[], None] = lambda: None, *, main_thread: bool = False) -> None:
    """Let a function take a minute in a thread of its own kind, after it has sent the signal."""
    import importlib

    place = importlib.import_module(module)
    real, once = getattr(place, name), at_call(send, 1)

    def slow(*arguments: Any, **more: Any) -> Any:
        once()
        if not main_thread:
            time.sleep(60)
        return real(*arguments, **more)

    setattr(place, name, slow)


if __name__ == "__main__":
    main(Path(sys.argv[1]), is_all=len(sys.argv) > 2)
