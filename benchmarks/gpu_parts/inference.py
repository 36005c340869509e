"""Part d: a mask of a 512×512×275 CT, end to end and by stage."""

from __future__ import annotations

import resource
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
from benchmarks.gpu_parts.meter import GIB, PeakMemory, memory_name, synchronise
from benchmarks.gpu_parts.subject import CT_SHAPE, CT_SPACING_MM, ct_plan

_NETWORK_MM = 1.5  # TotalSegmentator's spacing
_QUICK_SHAPE = (48, 48, 24)
_STAGES = ("read", "normalise and resample", "network", "restore", "write")


def run(context: Context) -> None:
    """Draw masks with few and with many labels."""
    shape = _QUICK_SHAPE if context.is_quick else CT_SHAPE
    file = context.scratch / "ct.nii.gz"
    noise = np.random.default_rng(0).normal(40, 60, shape).astype(np.int16)
    write_scan(noise[None], Geometry(shape, np.diag([*CT_SPACING_MM, 1.0])), file)
    for labels in (3, 5) if context.is_quick else (25, 118):
        _predict(context, labels, CaseInput("ct", (file,)), shape="×".join(map(str, shape)))


def _predict(context: Context, labels: int, case: CaseInput, *, shape: str) -> None:
    predictor = Predictor(_network(context, labels), _card(context, labels), device=context.device)
    subject = f"CT of {shape} voxels, {labels} labels, network at {_NETWORK_MM} mm"
    stages: dict[str, list[float]] = defaultdict(list)
    peaks: list[float] = []
    totals: list[float] = []
    last_s = 0.0
    for repeat in range(4):  # the first warms up
        if not context.has_time_for(1.2 * last_s, f"{subject}, repeat {repeat}"):
            break
        clock = _StageClock(context.device)
        with PeakMemory(context.device) as memory, clock.watching():
            start = time.perf_counter()
            done, failures = predict_cases(predictor, [case], context.scratch / f"masks_{labels}_{repeat}")
            synchronise(context.device)
            last_s = time.perf_counter() - start
        if not done:
            context.rows.note(f"{subject}: {failures[0].reason}")
            return
        if repeat:
            totals.append(last_s)
            peaks.append(memory.gib)
            for stage in _STAGES:
                stages[stage].append(clock.seconds[stage])
    if not totals:
        return
    context.rows.add(subject, "NIfTI in to NIfTI out", totals, "s", repeat="scan")
    for stage in _STAGES:
        context.rows.add(subject, f"of it: {stage}", stages[stage], "s", repeat="scan")
    context.rows.add(subject, memory_name(context.device), peaks, "GiB", repeat="scan")
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB
    context.rows.add(subject, "largest resident memory of the process so far", [resident], "GiB", repeat="process")


class _StageClock:
    """Seconds of each stage of `predict_cases`, which runs as it is; the device is waited for at every border."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = defaultdict(float)

    def watching(self) -> ExitStack:
        """Put a clock round each stage until the block ends."""
        # By name, because the package shows the function of the same name in the module's place.
        cases_module = import_module("medseg.inference.segmentation.predict_cases")
        predictor_module = import_module("medseg.inference.segmentation.predictor")
        stack = ExitStack()
        for module, name, stage in (
            (cases_module, "read_scan", "read"),
            (predictor_module, "network_image", "normalise and resample"),
            (predictor_module, "restore_planes", "restore"),
            (cases_module, "write_mask", "write"),
        ):
            stack.enter_context(patch.object(module, name, self._timed(getattr(module, name), stage)))
        planes = predictor_module.probability_planes
        stack.enter_context(
            patch.object(predictor_module, "probability_planes", lambda *a, **k: self._stream(planes(*a, **k)))
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
