#!/usr/bin/env python3
"""What tracking costs a training: steps of a small U-Net that log their loss, with a server that is well, slow or dead.

    python -m benchmarks.tracking [--steps 400] [--repeats 5] [--out tracking.json]

Every repeat does all five loops in turn, each time beginning with another; a ratio is to the same repeat's loop without
tracking. `killed, back` kills the server after a quarter of the steps and starts it again after three quarters: with
`--steps 6000` it is dead for about a minute. What a server did not get in time is sent with `sync_folder`; `stored`
counts the losses that the store then has, and how many it has twice. Only the steps are timed, not the start and the
end of a run.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from medseg.networks import NetworkConfig
from medseg.networks.segmentation import UNet
from medseg.runs.sync import sync_folder
from medseg.tracking import TrackedRun

from tests.tracking.gateway import in_front_of
from tests.tracking.mlflow_server import MlflowServer, serving

SLOW_S = 2.0
NONE = "no tracking"
Step = Callable[[], float]


@dataclass(frozen=True)
class Outcome:
    """What one loop took.

    Attributes:
        seconds: Seconds of all steps, with their logging.
        worst_ms: Longest step.
        end_s: Seconds for which the end of the run waited.
        stored: Count of different losses in the store.
        twice: Count of losses that the store has more than once.
    """

    seconds: float
    worst_ms: float
    end_s: float = 0.0
    stored: int = 0
    twice: int = 0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON file of every number")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # each outage would be told
    torch.set_num_threads(1)
    step = training_step()
    for _ in range(20):
        step()
    measured: dict[str, list[Outcome]] = {}
    with tempfile.TemporaryDirectory() as folder, serving(MlflowServer(Path(folder))) as server:
        loops = loops_of(server, step, arguments.steps, Path(folder) / "run")
        names = list(loops)
        for repeat in range(arguments.repeats):
            for place in range(len(names)):
                name = names[(repeat + place) % len(names)]
                measured.setdefault(name, []).append(loops[name]())
                print(f"repeat {repeat + 1}, {name}: {measured[name][-1].seconds:.2f} s", flush=True)
    print_table({name: measured[name] for name in names}, arguments.steps)
    if arguments.out:
        content = {name: [vars(one) for one in outcomes] for name, outcomes in measured.items()}
        arguments.out.write_text(json.dumps({"steps": arguments.steps, "loops": content}, indent=2), encoding="utf-8")


def training_step() -> Step:
    """A step of a small U-Net, of about 20 ms on one core."""
    config = NetworkConfig(
        spatial_dims=3, in_channels=1, out_channels=2, channels=(8, 16), strides=((1, 1, 1), (2, 2, 2)),
        kernels=((3, 3, 3),) * 2, blocks=(1, 1), decoder_blocks=(1,),
    )  # fmt: skip
    torch.manual_seed(0)
    network = UNet(config)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    image, label = torch.randn(1, 1, 20, 20, 20), torch.randint(0, 2, (1, 20, 20, 20))

    def step() -> float:
        optimiser.zero_grad()
        logits = network(image)
        loss = torch.nn.functional.cross_entropy(logits[0] if isinstance(logits, list | tuple) else logits, label)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return float(loss.detach())

    return step


def loops_of(server: MlflowServer, step: Step, steps: int, folder: Path) -> dict[str, Callable[[], Outcome]]:
    """The loops by their names."""

    def untracked() -> Outcome:
        times = [timed(step, None, number) for number in range(steps)]
        return Outcome(sum(times), 1000 * max(times))

    def tracked(uri: str, *, kill_at: int | None = None, start_at: int | None = None, delay_s: float = 0.0) -> Outcome:
        with slowed(server, delay_s) as gateway:
            return tracked_loop(server, step, steps, folder, gateway or uri, {kill_at: "kill", start_at: "start"})

    return {
        NONE: untracked,
        "healthy server": lambda: tracked(server.uri),
        f"slow server ({SLOW_S:g} s)": lambda: tracked(server.uri, delay_s=SLOW_S),
        "dead server": lambda: tracked(server.uri, kill_at=0),
        "killed, back": lambda: tracked(server.uri, kill_at=steps // 4, start_at=3 * steps // 4),
    }


def tracked_loop(
    server: MlflowServer, step: Step, steps: int, folder: Path, uri: str, changes: dict[int | None, str]
) -> Outcome:
    """A run whose every step logs, and what the store has of it once everything was sent."""
    run = TrackedRun.start(experiment="benchmark", name="loop", tracking_uri=uri)
    times = []
    with run.recording():
        run.begin(folder / "tracking.jsonl")
        for number in range(steps):
            if number in changes:
                getattr(server, changes[number])()
            times.append(timed(step, run, number))
        ended = time.perf_counter()
    end_s = time.perf_counter() - ended
    if not server.is_up():
        server.kill()
        server.start()
        server.wait()
    sync_folder(folder)
    history = [item.step for item in server.client.get_metric_history(run.run_id, "train_loss")]
    return Outcome(sum(times), 1000 * max(times), end_s, len(set(history)), len(history) - len(set(history)))


def timed(step: Step, run: TrackedRun | None, number: int) -> float:
    """Seconds of a step and of logging what `TrackingListener` logs."""
    begun = time.perf_counter()
    loss = step()
    if run is not None:
        values = {"epoch": number / 100, "train_loss": loss + number, "learning_rate": 1e-3, "elapsed_seconds": begun}
        run.log_metrics(values, step=number)
    return time.perf_counter() - begun


@contextmanager
def slowed(server: MlflowServer, delay_s: float) -> Iterator[str | None]:
    """Address of a gateway that delays the server's answers; None without a delay."""
    if delay_s == 0:
        yield None
        return
    with in_front_of(server.port) as gateway:
        gateway.delay_s = delay_s
        yield gateway.uri


def print_table(measured: dict[str, list[Outcome]], steps: int) -> None:
    """Print medians; the ratio is that of seconds to the same repeat's seconds without tracking."""
    plain = [outcome.seconds for outcome in measured[NONE]]
    print(f"\n{'':22}{'steps/s':>9}{'ratio':>8}{'range of ratios':>18}{'worst step':>13}{'end':>8}  stored")
    for name, outcomes in measured.items():
        ratios = [one.seconds / base for one, base in zip(outcomes, plain, strict=True)]
        speed = steps / statistics.median(one.seconds for one in outcomes)
        span = f"{min(ratios):.3f} to {max(ratios):.3f}"
        worst = statistics.median(one.worst_ms for one in outcomes)
        end_s = statistics.median(one.end_s for one in outcomes)
        fewest, twice = min(one.stored for one in outcomes), max(one.twice for one in outcomes)
        stored = "" if name == NONE else f"{fewest} of {steps}, {twice} twice"
        print(
            f"{name:22}{speed:9.1f}{statistics.median(ratios):8.3f}{span:>18}{worst:10.0f} ms{end_s:6.1f} s  {stored}"
        )


if __name__ == "__main__":
    main()
