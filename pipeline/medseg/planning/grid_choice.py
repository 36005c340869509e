"""The grid and the first stage that a budget can pay for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medseg.geometry import significant
from medseg.networks import NetworkConfig
from medseg.planning.expectation import Expectation, Outlook
from medseg.planning.fingerprint import Fingerprint
from medseg.planning.plan import Plan
from medseg.planning.sizes import DeviceKind
from medseg.planning.spending import Spending, duration_text
from medseg.planning.step_cost import StepPrice
from medseg.planning.step_fit import StepLimits, fit_memory, thin_step
from medseg.preprocess import PreprocessConfig

COARSE_SHARE = 0.25
LEARNING_STEPS = 10.5
STRIDED_LEARNING_STEPS = 15.0
STRIDED_SHARE = 0.15
LOWEST_CEILING = 0.75
FEWEST_ROUNDS = 100
FEWEST_STEPS = 200  # on a GPU; a batch is halved before it leaves fewer
_FACTORS = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0)
_GUESS_VOXELS_PER_S = 800_000
_GUESS_STEPS = 1000
_FARTHEST = 8.0  # from the guess, in voxels of a patch
MEASUREMENTS = 3
MEASURING_SHARE = 0.01  # of the budget, for each measurement
WORTH_MEASURING = 100  # steps; of fewer, the few that a measurement takes would be missed
MORE_TIME = (2, 4)


@dataclass(frozen=True, slots=True)
class GridOption:
    """One way to lay out a training.

    Attributes:
        factor: Multiple of the finest median spacing below which no voxel is.
        spacing_mm: Voxel size that the user sets, in place of all this.
        voxels: Voxels of the largest patch, in place of the device's.
        batch: Patches per step, in place of the device's.
        begins_strided: Whether the network's first stage halves the grid already.
        coarse_share: Share of the training on coarser voxels at its start.
    """

    factor: float = 1.0
    spacing_mm: tuple[float, float, float] | None = None
    voxels: int | None = None
    batch: int | None = None
    begins_strided: bool = False
    coarse_share: float = 0.0


PlanOn = Callable[[GridOption], Plan]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A plan and what it costs.

    Attributes:
        plan: Plan on one grid.
        parts: Patches that cover a median scan.
        price: Price of a step.
        coarse_price: Price of a step of the coarse start, if there is one.
    """

    plan: Plan
    parts: int
    price: StepPrice
    coarse_price: StepPrice | None

    @property
    def is_strided(self) -> bool:
        return max(_first_stride(self.plan)) > 1

    def steps(self, seconds: float) -> float:
        """Steps that the seconds buy, those of the coarse start included."""
        start = self.plan.training.coarse_start
        coarse = start.share * seconds / self.coarse_price.seconds if start and self.coarse_price else 0.0
        return coarse + self.fine_steps(seconds)

    def fine_steps(self, seconds: float) -> float:
        """Steps on the grid itself."""
        start = self.plan.training.coarse_start
        return (1 - (start.share if start else 0.0)) * seconds / self.price.seconds

    def rounds(self, seconds: float) -> float:
        """Steps on the grid for every part of a scan."""
        return max(1.0, self.fine_steps(seconds) / self.parts)

    def unlearned(self, seconds: float) -> float:
        """Dice that is not yet learned after the seconds, by the rule of `choose_plan`."""
        return (STRIDED_LEARNING_STEPS if self.is_strided else LEARNING_STEPS) / self.rounds(seconds)


def choose_plan(
    plan_on: PlanOn,
    fingerprint: Fingerprint,
    spending: Spending,
    *,
    device: DeviceKind,
    voxels: int,
    spacing_mm: tuple[float, float, float] | None = None,
) -> Plan:
    """The plan by which the least Dice is expected to be lost.

    A coarse grid loses what its voxels cannot carry, which is measured by taking labels there and back; a fine one
    loses what the budget leaves unlearned. With features as fine as the grid that is about `LEARNING_STEPS` over the
    steps on it for every part of a scan, after a coarse start. A network whose first stage is strided makes two to
    three times as many steps; it needs `STRIDED_LEARNING_STEPS`, and loses `STRIDED_SHARE` of what labels lose on a
    grid as coarse as its features. The three numbers come from the tables in `benchmarks/README.md`. A step sees as
    large a part of a scan as memory allows. No label may fall below `LOWEST_CEILING` where a grid that carries it gets
    `FEWEST_ROUNDS`.

    Args:
        plan_on: Function that makes the plan on a grid.
        fingerprint: Fingerprint of the training cases.
        spending: Budget and prices.
        device: Kind of device. On a GPU, where strided stages and coarse starts are not measured, the grid is chosen,
            and the device's step is made smaller where it does not fit into memory or leaves too few steps.
        voxels: Voxels of the largest patch.
        spacing_mm: Voxel size that the user sets, so that only the rest is chosen.
    """
    grids = [GridOption(factor) for factor in _FACTORS] if spacing_mm is None else [GridOption(spacing_mm=spacing_mm)]
    ceilings, start = _Ceilings(spending), time.monotonic()
    seconds = spending.steps_seconds()
    guess = seconds * _GUESS_VOXELS_PER_S / _GUESS_STEPS
    every = _distinct(_plans(plan_on, grids, device, voxels))
    plans = _within_memory(_near(every, guess), spending) if device == "cpu" else every
    own = every[0].preprocess.spacing_mm if spacing_mm is None else None
    strided = [index for index in range(len(plans)) if max(_first_stride(plans[index])) > 1]
    chosen = min(
        strided or range(len(plans)),
        key=lambda index: abs(np.log(np.prod(plans[index].training.patch_size) / guess)),
    )
    measured = plans[chosen]
    for _ in range(MEASUREMENTS):
        spending.measure(measured.network, measured.training, MEASURING_SHARE * spending.seconds)
        fitted = [_fitted(plan, plan_on, spending, device=device) for plan in plans]
        candidates = [_candidate(plan, fingerprint, spending) for plan in fitted]
        chosen = _best(candidates, ceilings, seconds, first=chosen)
        before, measured = measured, _thinned(candidates[chosen], spending, seconds, device=device).plan
        if measured == before or candidates[chosen].steps(seconds) < WORTH_MEASURING:
            break
    left = replace(spending, seconds=max(0.0, spending.seconds - (time.monotonic() - start)))
    return _with_expectation(candidates, chosen, ceilings, fingerprint, left, device=device, own_spacing=own)


class _Ceilings:
    """Ceilings of the labels on each grid, computed when they are first asked for."""

    def __init__(self, spending: Spending) -> None:
        self._compute = spending.ceiling
        self._known: dict[tuple[float, float, float], Mapping[str, float]] = {}

    def of(self, config: PreprocessConfig) -> Mapping[str, float]:
        """Dice of each label on a grid."""
        key = config.spacing_mm or (1.0, 1.0, 1.0)
        if key not in self._known:
            self._known[key] = self._compute(config)
        return self._known[key]

    def lost(self, candidate: _Candidate) -> float:
        """Dice that is lost to the grid, and to features that are coarser than it."""
        plan = candidate.plan
        lost = 1 - _mean(self.of(plan.preprocess))
        if not candidate.is_strided or plan.preprocess.spacing_mm is None:
            return lost
        i, j, k = (significant(mm * s) for mm, s in zip(plan.preprocess.spacing_mm, _first_stride(plan), strict=True))
        features = plan.preprocess.model_copy(update={"spacing_mm": (i, j, k)})
        return lost + STRIDED_SHARE * (1 - _mean(self.of(features)))

    def least_lost(self, candidate: _Candidate) -> float:
        """Dice that is lost at least: as much as on any finer grid that is known."""
        own = np.array(candidate.plan.preprocess.spacing_mm)
        finer = [known for spacing, known in self._known.items() if (np.array(spacing) <= own).all()]
        return max((1 - _mean(ceiling) for ceiling in finer), default=0.0)


def _mean(ceiling: Mapping[str, float]) -> float:
    return float(np.mean(list(ceiling.values()) or [1.0]))


def _plans(plan_on: PlanOn, grids: Sequence[GridOption], device: DeviceKind, voxels: int) -> Iterator[Plan]:
    """Plans on every grid, finest first."""
    for grid in grids:
        if device == "cpu":
            option = replace(grid, voxels=voxels, batch=1, coarse_share=COARSE_SHARE)
            yield plan_on(option)
            yield plan_on(replace(option, begins_strided=True))
        else:
            yield plan_on(replace(grid, voxels=voxels))


def _distinct(plans: Iterable[Plan]) -> list[Plan]:
    """Plans that differ in grid or first stage, finest first."""
    return list({(plan.preprocess.spacing_mm, _first_stride(plan)): plan for plan in plans}.values())


def _first_stride(plan: Plan) -> tuple[int, ...]:
    """Reduction of the network's finest features along each axis; only medseg's own UNet may begin strided."""
    network = plan.network
    return network.strides[0] if isinstance(network, NetworkConfig) else (1,) * network.spatial_dims


def _near(plans: Sequence[Plan], voxels: float) -> list[Plan]:
    """Plans whose patches are not quite out of question, so that the others need not be priced."""
    return [
        plan
        for plan in plans
        if plan in (plans[0], plans[-1])
        or voxels / _FARTHEST < float(np.prod(plan.training.patch_size)) < voxels * _FARTHEST**2
    ]


def _within_memory(plans: Sequence[Plan], spending: Spending) -> list[Plan]:
    """Plans whose steps fit into memory; the one that needs least if none does."""
    needs = [spending.estimate(plan.network, plan.training).memory_bytes for plan in plans]
    fitting = [plan for plan, need in zip(plans, needs, strict=True) if need <= spending.step_bytes]
    return fitting or [plans[int(np.argmin(needs))]]


def _fitted(plan: Plan, plan_on: PlanOn, spending: Spending, *, device: DeviceKind) -> Plan:
    """The plan for a GPU with a step that fits into its memory, which was looked at before for a CPU."""
    if device == "cpu":
        return plan
    grid = GridOption(spacing_mm=plan.preprocess.spacing_mm)
    return fit_memory(
        plan, lambda voxels: plan_on(replace(grid, voxels=voxels)), spending.estimate, spending.step_bytes
    )


def _thinned(candidate: _Candidate, spending: Spending, seconds: float, *, device: DeviceKind) -> _Candidate:
    """The candidate for a GPU with fewer patches in a step where the seconds buy too few steps."""
    if device == "cpu":
        return candidate
    limits = StepLimits(seconds, spending.step_bytes, fewest_steps=FEWEST_STEPS, smallest_batch=1)
    plan = thin_step(candidate.plan, spending.estimate, limits)
    return replace(candidate, plan=plan, price=spending.estimate(plan.network, plan.training))


def _candidate(plan: Plan, fingerprint: Fingerprint, spending: Spending) -> _Candidate:
    shape = np.median(fingerprint.shapes() * fingerprint.spacings_mm() / np.array(plan.preprocess.spacing_mm), axis=0)
    patch = np.array(plan.training.patch_size)
    parts = max(1, round(float(np.prod(np.maximum(shape / patch, 1.0)))))
    training = plan.training
    coarse = spending.estimate(plan.network, training.coarse) if training.coarse_start else None
    return _Candidate(plan, parts, spending.estimate(plan.network, training), coarse)


def _best(candidates: Sequence[_Candidate], ceilings: _Ceilings, seconds: float, *, first: int) -> int:
    """Index of the candidate that loses least; ceilings are computed only where they can still decide.

    Args:
        candidates: Candidates, finest grid first.
        ceilings: Ceilings of the grids.
        seconds: Seconds of the steps.
        first: Index of a candidate that is likely good.
    """
    open_, best, least = set(range(len(candidates))), first, np.inf
    while open_:
        bounds = {n: candidates[n].unlearned(seconds) + ceilings.least_lost(candidates[n]) for n in open_}
        index = first if first in open_ else min(bounds, key=lambda n: (bounds[n], n))
        if bounds[index] >= least:
            break
        open_.remove(index)
        candidate = candidates[index]
        loss = candidate.unlearned(seconds) + ceilings.lost(candidate)
        ceiling = list(ceilings.of(candidate.plan.preprocess).values()) or [1.0]
        if min(ceiling) < LOWEST_CEILING and any(c.rounds(seconds) >= FEWEST_ROUNDS for c in candidates[:index]):
            continue
        if loss < least:
            best, least = index, loss
    return best


def _with_expectation(
    candidates: Sequence[_Candidate],
    chosen: int,
    ceilings: _Ceilings,
    fingerprint: Fingerprint,
    spending: Spending,
    *,
    device: DeviceKind,
    own_spacing: tuple[float, float, float] | None,
) -> Plan:
    """The chosen plan, with what the budget buys with it, with the scans' own grid, and with more time."""
    scans, seconds = len(fingerprint.cases), spending.steps_seconds()
    best = _thinned(candidates[chosen], spending, seconds, device=device)
    ceiling = ceilings.of(best.plan.preprocess)
    shortfall = best.unlearned(seconds) + ceilings.lost(best)
    outlook = [
        _outlook(candidates, chosen, ceilings, scans=scans, spending=spending, device=device, times=times)
        for times in MORE_TIME
    ]
    expected = Expectation(
        device=spending.device,
        seconds=round(spending.seconds, 1),
        steps=round(best.steps(seconds)),
        step_seconds=best.price.seconds,
        memory_bytes=best.price.memory_bytes,
        views_per_scan=_views(best, scans, seconds),
        ceiling={name: round(dice, 4) for name, dice in ceiling.items()},
        shortfall=round(shortfall, 4),
        outlook=tuple(outlook),
    )
    grid_reason = _grid_reason(candidates[0], best, expected, scans=scans, spending=spending, own_spacing=own_spacing)
    reasons = best.plan.reasons | {"preprocess.spacing_mm": grid_reason}
    return best.plan.model_copy(update={"reasons": reasons, "expected": expected})


def _outlook(
    candidates: Sequence[_Candidate],
    chosen: int,
    ceilings: _Ceilings,
    *,
    scans: int,
    spending: Spending,
    device: DeviceKind,
    times: int,
) -> Outlook:
    """What a longer budget would buy."""
    seconds = spending.steps_seconds(times)
    best = candidates[_best(candidates, ceilings, seconds, first=chosen)]
    best = _thinned(best, spending, seconds, device=device)
    return Outlook(
        budget=duration_text(times * spending.budget_s),
        spacing_mm=best.plan.preprocess.spacing_mm,
        steps=round(best.steps(seconds)),
        batch_size=best.plan.training.batch_size,
        views_per_scan=_views(best, scans, seconds),
        shortfall=round(best.unlearned(seconds) + ceilings.lost(best), 4),
    )


def _views(candidate: _Candidate, scans: int, seconds: float) -> float:
    """How often each part of a scan is seen."""
    training = candidate.plan.training
    views = candidate.fine_steps(seconds) * training.batch_size / (scans * candidate.parts)
    views *= scans * training.patches_per_case / training.patches_per_epoch(scans)
    return significant(views, digits=2)


def _grid_reason(
    finest: _Candidate,
    best: _Candidate,
    expected: Expectation,
    *,
    scans: int,
    spending: Spending,
    own_spacing: tuple[float, float, float] | None,
) -> str:
    text = (
        f"{_mm(best.plan)}: {duration_text(spending.budget_s)} buys about {expected.steps} steps, in which each of "
        f"{scans} scans is seen {expected.views_per_scan:g} times"
    )
    if best.plan.preprocess.spacing_mm != finest.plan.preprocess.spacing_mm:
        views = _views(finest, scans, spending.steps_seconds())
        is_own = finest.plan.preprocess.spacing_mm == own_spacing
        which = f"the scans' own {_mm(finest.plan)}" if is_own else f"{_mm(finest.plan)}, the finest in memory,"
        text += f"; at {which} they would be seen {views:g} times"
    if expected.ceiling:
        worst = min(expected.ceiling, key=lambda name: expected.ceiling[name])
        text += f"; labels on this grid and back keep a Dice of {expected.ceiling[worst]:.3f} ({worst}) and above"
    longer, shortfall = expected.outlook[0], expected.shortfall or 0.0
    if longer.shortfall is not None and longer.shortfall < shortfall - 0.001:
        text += (
            f"; {longer.budget} would win back about {shortfall - longer.shortfall:.3f} of the Dice of about "
            f"{shortfall:.3f} that is lost to the grid and to what is not yet learned"
        )
    return text


def _mm(plan: Plan) -> str:
    spacing = plan.preprocess.spacing_mm or (1.0, 1.0, 1.0)
    return "×".join(f"{size:.3g}" for size in spacing) + " mm"
