"""Whether flags that need no classifier find masks that failed, and how rarely they doubt ordinary ones.

    python benchmarks/quality_flags.py --data "$MEDSEG_DATA/msd_hippocampus" --run RUN --run WEAK --foreign CT.nii.gz

Every validation case is drawn as it is and from copies with something wrong (`spoiled_scans.py`), by each run; a mask
has failed where its mean Dice is below the bound. Runs must be trained with `--fold 0`. Foreign scans have no Dice: it
is listed whether they are flagged, and why.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TypeVar

import numpy as np
import torch
from medseg.evaluation.classification import failure_auroc
from medseg.evaluation.segmentation import measure_case
from medseg.inference.segmentation import Predictor
from medseg.inference.segmentation.quality import QualityChecker
from medseg.inference.segmentation.quality.observation import Observation
from medseg.manifest import load_manifest, read_case, select_cases
from medseg.records import Labelmap, Scan
from medseg.scans import read_scan

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.spoiled_scans import spoiled_copies

Result = TypeVar("Result")
ANY, MASK = "any", "about the mask"
ABOUT_MASK = ("confidence", "disagreement", "volume", "border", "parts")
ORDINARY = "as it is"


@dataclass(frozen=True, slots=True)
class Checked:
    """A mask that was drawn and checked.

    Attributes:
        run: Name of the run.
        what: What is wrong with the scan.
        patient: Patient of the case.
        dice: Mean Dice over the structures; NaN for a foreign scan.
        findings: Everything that was looked at.
        seconds: Seconds of the whole prediction.
        checking_s: Those of them that the check took.
        error: Mean absolute difference between the expected and the measured Dice; NaN without a calibration.
    """

    run: str
    what: str
    patient: str
    dice: float
    findings: tuple[Observation, ...]
    seconds: float
    checking_s: float
    error: float = float("nan")

    @property
    def is_flagged(self) -> bool:
        """Whether any flag is raised."""
        return any(finding.is_flagged for finding in self.findings)

    def severity(self, kind: str) -> float:
        """Largest severity of a kind; 0 where nothing was looked at."""
        kinds = ABOUT_MASK if kind == MASK else (kind,)
        return max((one.severity for one in self.findings if kind == ANY or one.kind in kinds), default=0.0)


def main() -> None:
    """Draw, check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--run", type=Path, action="append", required=True)
    parser.add_argument("--foreign", type=Path, action="append", default=[])
    parser.add_argument("--bound", type=float, default=0.7)
    parser.add_argument("--cases", type=int)
    arguments = parser.parse_args()
    checked = list(_checked(arguments))
    _print_copies([one for one in checked if one.dice == one.dice], arguments.bound)
    _print_power([one for one in checked if one.dice == one.dice], arguments.bound)
    _print_foreign([one for one in checked if one.dice != one.dice])


def _checked(arguments: argparse.Namespace) -> Iterator[Checked]:
    manifest, root = load_manifest(arguments.data, data_root=arguments.data_root)
    cases = select_cases(manifest, fold=0)[: arguments.cases]
    for run in arguments.run:
        model = Predictor.load(run, device=torch.device("cpu"))
        checker = QualityChecker.of(model)
        for number, case in enumerate(cases):
            scan, label = read_case(case, manifest, root)
            for copy in spoiled_copies(scan, label, seed=number):
                yield _drawn(model, checker, copy.scan, copy.label, names=(run.name, copy.what, case.patient_id))
        zeros = Scan(np.zeros_like(scan.array), scan.geometry)
        yield _drawn(model, checker, zeros, None, names=(run.name, "zeros", ""))
        for path in arguments.foreign:
            foreign = read_scan((path,), case_id=path.name, channels=len(model.channels))
            yield _drawn(model, checker, foreign, None, names=(run.name, path.name, ""))


def _drawn(
    model: Predictor, checker: QualityChecker, scan: Scan, label: Labelmap | None, *, names: tuple[str, str, str]
) -> Checked:
    start, clock = time.perf_counter(), Clock()
    check = clock.of(lambda: checker.begin(scan))
    drawing = model.prepare(scan).draw(observe=lambda values: clock.of(lambda: check.observe(values)))
    quality = clock.of(lambda: check.finish(drawing))
    seconds = time.perf_counter() - start
    dice = error = float("nan")
    if label is not None:
        rows = measure_case(label, drawing.mask, target=model.target, case_id="case")
        values = {row.label: row.values["dice"] for row in rows if row.values["dice"] == row.values["dice"]}
        dice = fmean(values.values()) if values else float("nan")
        errors = [abs(quality.confidence[name] - values[name]) for name in quality.confidence or {} if name in values]
        error = fmean(errors) if errors else error
    return Checked(*names, dice, tuple(check.findings(drawing)), seconds, clock.seconds, error)


class Clock:
    """Adds up what some calls take."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def of(self, call: Callable[[], Result]) -> Result:
        """Result of a call, whose time is added."""
        start = time.perf_counter()
        result = call()
        self.seconds += time.perf_counter() - start
        return result


def _print_copies(checked: Sequence[Checked], bound: float) -> None:
    groups: dict[tuple[str, str], list[Checked]] = defaultdict(list)
    for one in checked:
        groups[one.run, one.what].append(one)
    print("| run | scan | masks | median Dice | failed | flagged of the failed | flagged of the others | error |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for (run, what), group in groups.items():
        failed, kept = _split(group, bound)
        errors = [one.error for one in group if one.error == one.error]
        print(
            f"| {run} | {what} | {len(group)} | {median(one.dice for one in group):.2f} | {len(failed)} | "
            f"{_share(failed)} | {_share(kept)} | {f'{fmean(errors):.2f}' if errors else ''} |"
        )


def _print_power(checked: Sequence[Checked], bound: float) -> None:
    kinds = [ANY, MASK, *sorted({finding.kind for one in checked for finding in one.findings})]
    ordinary = [one for one in checked if one.what == ORDINARY and one.dice >= bound]
    print(
        f"\n| flag | AUROC for Dice below {bound:g} (95 %) | failed masks flagged | others flagged | ordinary flagged |"
    )
    print("| --- | --- | --- | --- | --- |")
    failed, kept = _split(checked, bound)
    for kind in kinds:
        power = failure_auroc(
            [one.severity(kind) for one in checked],
            [one.dice for one in checked],
            bound,
            patients=[one.patient for one in checked],
        )
        shares = " | ".join(_share(group, kind) for group in (failed, kept, ordinary))
        print(f"| {kind} | {power.auroc:.3f} ({power.low:.3f} to {power.high:.3f}) | {shares} |")
    seconds, checking = (fmean(getattr(one, name) for one in checked) for name in ("seconds", "checking_s"))
    print(f"\nthe check takes {1000 * checking:.1f} ms of {1000 * seconds:.0f} ms per mask, reading and writing apart")


def _print_foreign(checked: Sequence[Checked]) -> None:
    for one in checked:
        print(f"\n{one.run}, {one.what}: {'flagged' if one.is_flagged else 'NOT FLAGGED'}, {one.checking_s:.2f} s")
        for finding in sorted(one.findings, key=lambda finding: -finding.severity):
            if finding.is_flagged:
                print(f"  {finding.kind}: {finding.reason}")


def _split(checked: Sequence[Checked], bound: float) -> tuple[list[Checked], list[Checked]]:
    """Masks that failed, and the others."""
    return [one for one in checked if one.dice < bound], [one for one in checked if one.dice >= bound]


def _share(checked: Sequence[Checked], kind: str = ANY) -> str:
    flagged = sum(one.severity(kind) > 1 for one in checked)
    return f"{flagged} of {len(checked)}" if checked else "none"


if __name__ == "__main__":
    main()
