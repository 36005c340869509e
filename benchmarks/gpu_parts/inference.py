"""Part d: a mask of a 512×512×275 CT, end to end and by stage."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib import import_module
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from medseg import __version__
from medseg.geometry import Geometry
from medseg.inference import CaseInput
from medseg.inference.segmentation import ModelCard, Predictor, predict_cases
from medseg.networks.segmentation import UNet
from medseg.scans import write_scan

from benchmarks.gpu_parts.context import Context
from benchmarks.gpu_parts.meter import PeakMemory, memory_name, synchronise
from benchmarks.gpu_parts.subject import CT_SHAPE, CT_SPACING_MM, ct_plan

_NETWORK_MM = 1.5  # TotalSegmentator's spacing
_QUICK_SHAPE = (48, 48, 24)
_REPEATS = 2
_FIRST_GUESS_S = 12.0
_STAGES = ("read", "normalise and resample", "network", "restore", "write")


def run(context: Context) -> None:
    """Draw masks with few and with many labels."""
    shape = _QUICK_SHAPE if context.is_quick else CT_SHAPE
    case = _write_noise(context, "ct", shape)
    small = _write_noise(context, "small", _QUICK_SHAPE)
    expected_s = 0.0 if context.is_quick else _FIRST_GUESS_S
    for labels in (3, 5) if context.is_quick else (25, 118):
        predictor = Predictor(_network(context, labels), _card(context, labels), device=context.device)
        predict_cases(predictor, [small], context.scratch / f"warm_up_{labels}")
        subject = f"{'×'.join(map(str, shape))} voxels of noise, {labels} labels, random weights, {_NETWORK_MM} mm"
        expected_s = _predict(context, predictor, case, subject, expected_s=1.5 * expected_s)


def _predict(context: Context, predictor: Predictor, case: CaseInput, subject: str, *, expected_s: float) -> float:
    """Measure a few scans; seconds of the slowest."""
    stages: dict[str, list[float]] = defaultdict(list)
    peaks: list[float] = []
    totals: list[float] = []
    for repeat in range(_REPEATS):
        if not context.has_time_for(1.1 * expected_s, f"{subject}, repeat {repeat + 1}"):
            break
        clock = _StageClock(context.device)
        with PeakMemory(context.device) as memory, clock.watching():
            start = time.perf_counter()
            done, failures = predict_cases(predictor, [case], context.scratch / f"masks_{time.monotonic_ns()}")
            synchronise(context.device)
            totals.append(time.perf_counter() - start)
        if not done:
            context.rows.note(f"{subject}: {failures[0].reason}")
            return totals[-1]
        expected_s = max(totals)
        peaks.append(memory.gib)
        for stage in _STAGES:
            stages[stage].append(clock.seconds[stage])
        stages["volumes and records"].append(totals[-1] - sum(clock.seconds[stage] for stage in _STAGES))
    if totals:
        context.rows.add(subject, "NIfTI in to NIfTI out", totals, "s", repeat="scan")
        for stage, seconds in stages.items():
            context.rows.add(subject, f"of it: {stage}", seconds, "s", repeat="scan")
        context.rows.add(subject, memory_name(context.device), peaks, "GiB", repeat="scan")
    return expected_s


def _write_noise(context: Context, name: str, shape: tuple[int, int, int]) -> CaseInput:
    file = context.scratch / f"{name}.nii.gz"
    noise = np.random.default_rng(0).normal(40, 60, shape).astype(np.int16)
    write_scan(noise[None], Geometry(shape, np.diag([*CT_SPACING_MM, 1.0])), file)
    return CaseInput(name, (file,))


class _StageClock:
    """Seconds of each stage of `predict_cases`, which runs as it is; the device is waited for at every border.

    A single case runs through its stages one after the other.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)

    def watching(self) -> ExitStack:
        """Put a clock round each stage until the block ends."""
        stages_module = import_module("medseg.inference.segmentation.case_stages")
        scan_module = import_module("medseg.inference.segmentation.prepared_scan")
        stack = ExitStack()
        for module, name, stage in (
            (stages_module, "read_input", "read"),
            (scan_module, "preprocess_scan", "normalise and resample"),
            (scan_module, "restore_planes", "restore"),
            (stages_module, "write_mask", "write"),
        ):
            stack.enter_context(patch.object(module, name, self._timed(getattr(module, name), stage)))
        planes = scan_module.probability_planes
        stack.enter_context(
            patch.object(scan_module, "probability_planes", lambda *a, **k: self._stream(planes(*a, **k)))
        )
        return stack

    def _timed(self, function: Callable[..., Any], stage: str) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            before = self.seconds["network"]
            start = self._now()
            result = function(*arguments, **options)
            self.seconds[stage] += self._now() - start
            if stage == "restore":  # which asks the network for planes as it goes
                self.seconds[stage] -= self.seconds["network"] - before
            return result

        return timed

    def _stream(self, planes: Iterator[Any]) -> Iterator[Any]:
        while True:
            start = self._now()
            chunk = next(planes, None)
            self.seconds["network"] += self._now() - start
            if chunk is None:
                return
            yield chunk

    def _now(self) -> float:
        synchronise(self.device)
        return time.perf_counter()


def _network(context: Context, labels: int) -> UNet:
    torch.manual_seed(0)
    return UNet(ct_plan(labels=labels, is_quick=context.is_quick, spacing_mm=_NETWORK_MM).network)


def _card(context: Context, labels: int) -> ModelCard:
    plan = ct_plan(labels=labels, is_quick=context.is_quick, spacing_mm=_NETWORK_MM)
    return ModelCard(
        medseg_version=__version__,
        dataset="noise",
        channels=("CT",),
        labels={"background": 0} | {f"label {value}": value for value in range(1, labels + 1)},
        network=plan.network,
        preprocess=plan.preprocess,
        inference=plan.inference,
        trained_on=(),
        manifest_digest="",
        plan_digest="",
    )
