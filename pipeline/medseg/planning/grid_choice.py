"""The network's grid that a budget can pay for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from medseg.networks.segmentation import AnyNetwork
from medseg.planning.fingerprint import Fingerprint
from medseg.planning.plan import Plan
from medseg.preprocess import PreprocessConfig
from medseg.training.segmentation import TrainingConfig

LEARNING_STEPS = 17.0
LOWEST_CEILING = 0.75
FEWEST_ROUNDS = 100
MOST_VOXELS = 2_000_000
_FACTORS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
_STEPS_SHARE = 0.85  # of the budget; the rest goes into validations
_TAIL_S = 8.0  # pictures and files at the end
_GUESS_VOXELS_PER_S = 400_000
_GUESS_STEPS = 1000
_MEASUREMENTS = 3
_WORTH_MEASURING = 60  # steps; of fewer, the few that a measurement takes would be missed
_MUCH = 0.05


@dataclass(frozen=True, slots=True)
class Spending:
    """What a training may spend, and what things cost.

    Attributes:
        seconds: Wall clock for steps and validations.
        budget: The whole budget as the user wrote it, for the reasons.
        measure_step_s: Function that measures the seconds of a step.
        step_s: Function that scales them from the last measurement.
        ceiling: Function that gives the Dice of each label that a perfect network would reach on a grid.
    """

    seconds: float
    budget: str
    measure_step_s: Callable[[AnyNetwork, TrainingConfig], float]
    step_s: Callable[[AnyNetwork, TrainingConfig], float]
    ceiling: Callable[[PreprocessConfig], Mapping[str, float]]

    @property
    def steps_seconds(self) -> float:
        """Seconds for steps alone."""
        return max(1.0, _STEPS_SHARE * self.seconds - _TAIL_S)


class PlanOn(Protocol):
    """Makes the plan on a grid."""

    def __call__(self, factor: float, *, voxels: int | None = None, batch: int | None = None) -> Plan:
        """The plan.

        Args:
            factor: Multiple of the finest median spacing below which no voxel is.
            voxels: Voxels of the largest patch.
            batch: Patches per step.
        """


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A plan and what the budget buys with it.

    Attributes:
        plan: Plan on one grid.
        parts: Patches that cover a median scan.
        steps: Steps that the budget buys.
    """

    plan: Plan
    parts: int
    steps: float

    @property
    def rounds(self) -> float:
        """Steps for every part of a scan."""
        return self.steps / self.parts

    @property
    def unlearned(self) -> float:
        """Dice that is not yet learned when the budget ends, by the rule of `choose_plan`."""
        return LEARNING_STEPS / max(self.rounds, 1.0)


def choose_plan(plan_on: PlanOn, fingerprint: Fingerprint, spending: Spending) -> Plan:
    """The plan on the grid on which the least Dice is expected to be lost.

    A coarse grid loses what its voxels cannot carry, which is measured by taking labels there and back; a fine one
    loses what the budget leaves unlearned, about `LEARNING_STEPS` over the steps for every part of a scan, as the table
    in `benchmarks/README.md` shows. A step sees as large a part of a scan as memory allows. No label may fall below
    `LOWEST_CEILING` where a grid that carries it gets `FEWEST_ROUNDS`.

    Args:
        plan_on: Function that makes the plan on a grid.
        fingerprint: Fingerprint of the training cases.
        spending: Budget and prices.
    """
    plans = _distinct([plan_on(factor, voxels=MOST_VOXELS, batch=1) for factor in _FACTORS])
    ceilings = _Ceilings(spending)
    guess = spending.steps_seconds * _GUESS_VOXELS_PER_S / _GUESS_STEPS
    chosen = min(range(len(plans)), key=lambda index: abs(np.log(np.prod(plans[index].training.patch_size) / guess)))
    candidates: list[_Candidate] = []
    for _ in range(_MEASUREMENTS):
        measured = chosen
        spending.measure_step_s(plans[measured].network, plans[measured].training)
        candidates = [_candidate(plan, fingerprint, spending) for plan in plans]
        chosen = _best(candidates, ceilings)
        if chosen == measured or candidates[chosen].steps < _WORTH_MEASURING:
            break
    return _with_reasons(candidates, chosen, ceilings.of(candidates[chosen].plan), fingerprint, spending)


class _Ceilings:
    """Ceilings of the labels on each grid, computed when they are first asked for."""

    def __init__(self, spending: Spending) -> None:
        self._compute = spending.ceiling
        self._known: dict[object, Mapping[str, float]] = {}

    def of(self, plan: Plan) -> Mapping[str, float]:
        key = plan.preprocess.spacing_mm
        if key not in self._known:
            self._known[key] = self._compute(plan.preprocess)
        return self._known[key]


def _distinct(plans: Sequence[Plan]) -> list[Plan]:
    """Plans of different grids, finest first."""
    return list({plan.preprocess.spacing_mm: plan for plan in plans}.values())


def _candidate(plan: Plan, fingerprint: Fingerprint, spending: Spending) -> _Candidate:
    shape = np.median(fingerprint.shapes() * fingerprint.spacings_mm() / np.array(plan.preprocess.spacing_mm), axis=0)
    patch = np.array(plan.training.patch_size)
    parts = max(1, round(float(np.prod(np.maximum(shape / patch, 1.0)))))
    return _Candidate(plan, parts, spending.steps_seconds / spending.step_s(plan.network, plan.training))


def _best(candidates: Sequence[_Candidate], ceilings: _Ceilings) -> int:
    """Index of the candidate that loses least; ceilings are computed only where they can still decide."""
    best, least = 0, np.inf
    for index in sorted(range(len(candidates)), key=lambda index: candidates[index].unlearned):
        candidate = candidates[index]
        if candidate.unlearned >= least:
            break
        ceiling = list(ceilings.of(candidate.plan).values()) or [1.0]
        loss = candidate.unlearned + 1 - float(np.mean(ceiling))
        if min(ceiling) < LOWEST_CEILING and any(other.rounds >= FEWEST_ROUNDS for other in candidates[:index]):
            continue
        if loss < least:
            best, least = index, loss
    return best


def _with_reasons(
    candidates: Sequence[_Candidate],
    chosen: int,
    ceiling: Mapping[str, float],
    fingerprint: Fingerprint,
    spending: Spending,
) -> Plan:
    """The chosen plan, with what the budget buys with it and with the scans' own grid."""
    best, finest = candidates[chosen], candidates[0]
    scans = len(fingerprint.cases)
    seen = best.steps * best.plan.training.batch_size / (scans * best.parts)
    text = (
        f"{_mm(best.plan)}: {spending.budget} buys about {best.steps:.0f} steps, in which each of {scans} scans is "
        f"seen {seen:.2g} times"
    )
    if chosen > 0:
        coarse = finest.steps / (scans * finest.parts)
        text += f"; at the scans' own {_mm(finest.plan)} they would be seen {coarse:.2g} times"
    if ceiling:
        worst = min(ceiling, key=lambda name: ceiling[name])
        text += f"; labels on this grid and back keep a Dice of {ceiling[worst]:.3f} ({worst}) and above"
    if best.unlearned > _MUCH:
        text += "; a network needs several times as many steps, so more time would improve it much"
    reasons = best.plan.reasons | {"preprocess.spacing_mm": text}
    reasons["training.batch_size"] = "one patch, so that the budget buys as many steps as it can"
    return best.plan.model_copy(update={"reasons": reasons})


def _mm(plan: Plan) -> str:
    spacing = plan.preprocess.spacing_mm or (1.0, 1.0, 1.0)
    return "×".join(f"{size:.3g}" for size in spacing) + " mm"
