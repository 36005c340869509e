"""The number format of a packaged model, compared with float32 when it is packaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from medseg.cohort import CASE_ERRORS
from medseg.errors import ScanError
from medseg.inference import FoundInputs, find_inputs, read_input
from medseg.inference.inputs import check_channels
from medseg.inference.nnunet import AdoptedModel
from medseg.inference.nnunet.precision_check import check_on_noise as check_adopted_on_noise
from medseg.inference.precision_record import LEAST_AGREEMENT, PrecisionCheck
from medseg.inference.segmentation.precision_check import check_on_noise, check_on_scans
from medseg.networks.precision import PrecisionKind
from medseg.records import Scan
from medseg.runs.segmentation.package_models import Member


def checked_precision(member: Member, cases: Sequence[Path], *, asked: PrecisionKind | Literal["checked"]) -> Member:
    """A model with the comparison of bfloat16 and float32, and with the number format that was asked for.

    Args:
        member: Model.
        cases: Scans to compare on; noise if there are none.
        asked: `auto` and `checked` leave the format of an adopted model as its adoption chose it.

    Raises:
        ScanError: If none of the scans can be read.
    """
    check, notes = _compared(member, cases)
    is_cleared = check is not None and check.agrees
    card = member.card
    if asked in ("fp32", "bf16"):
        card = card.model_copy(update={"precision": asked})
    elif asked == "checked" and not is_cleared:
        card = card.model_copy(update={"precision": "fp32"})
    card = card.model_copy(update={"precision_check": check})
    told = () if is_cleared else (f"{member.name}: {_doubt(check)}, {_used(card.precision)}",)
    return replace(member, card=card, check=check, notes=(*member.notes, *notes, *told))


def _compared(member: Member, cases: Sequence[Path]) -> tuple[PrecisionCheck | None, tuple[str, ...]]:
    """The comparison, and sentences on scans that could not be read."""
    model = member.model
    if not cases and member.check is not None:
        return member.check, ()
    if not cases:
        return check_adopted_on_noise(model) if isinstance(model, AdoptedModel) else check_on_noise(model), ()
    found = find_inputs(cases, channels=model.channels)
    failed = [_not_compared(one.case_id, one.reason) for one in found.failures]
    read: list[str] = []

    def on_error(error: Exception) -> None:
        failed.append(_not_compared(read[-1], error))

    scans = _scans(found, model.channels, read, failed)
    check = check_on_scans(model, scans, subject=f"{len(found.cases)} scan(s)", on_error=on_error)
    if len(failed) == len(found.cases) + len(found.refused):
        raise ScanError(
            f"a scan to compare the precision on must be fit for it: {failed[0]}", remedy="give other scans"
        )
    if failed and check is not None:
        compared = len(found.cases) + len(found.refused) - len(failed)
        check = check.model_copy(update={"subject": f"{compared} scan(s)"})
    return check, tuple(failed)


def _scans(found: FoundInputs, channels: Sequence[str], read: list[str], failed: list[str]) -> Iterator[Scan]:
    """Scans one by one, each after its id; one that cannot be read is told of and does not stop the others."""
    for case in found.cases:
        read.append(case.case_id)
        try:
            scan = read_input(case, channels=channels)
            check_channels(scan, channels, case_id=case.case_id)
        except CASE_ERRORS as error:
            failed.append(_not_compared(case.case_id, error))
            continue
        yield scan


def _not_compared(case_id: str, reason: object) -> str:
    return f"the precision was not compared on {case_id}: {reason}"


def _doubt(check: PrecisionCheck | None) -> str:
    if check is None:
        return "nothing showed whether bfloat16 decides as float32 does"
    worst = min(check.by_label, key=lambda name: check.by_label[name], default="")
    subject = "noise, which is harder than scans are" if check.subject == "noise" else check.subject
    return (
        f"masks in bfloat16 and float32 agree with a Dice of {check.agreement:.4f}, below {LEAST_AGREEMENT}, for "
        f"{worst or 'a label'} on {subject}"
    )


def _used(precision: str) -> str:
    return "so float32 is used" if precision == "fp32" else "and the device's own format is used"
