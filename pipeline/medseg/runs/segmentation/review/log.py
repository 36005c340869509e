"""`reviews.json` and `to_label.json` beside a data set: every decision so far, and the cases that wait for a label."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from medseg.atomic import write_json
from medseg.configuration import AnyConfig, Config, parse_config
from medseg.delivery.review import Verdict
from medseg.errors import ConfigError, ManifestError
from medseg.inference.source_record import SourceRecord
from medseg.records import Case
from medseg.runs.segmentation.review.decisions import Decision
from medseg.text import Text

OUTCOMES = ("accepted", "corrected", "queued", "rejected", "known", "undecided", "disputed")
"""What may become of the decisions on a case, beside a failure."""
_FINAL = ("label", "queued", "rejected", "undecided")


class LoggedReview(Config):
    """One decision of one reader, as it was taken over.

    Attributes:
        case_id: Id of the case.
        reader: Name of the reader.
        verdict: What was decided; None for a comment alone.
        decided: Time of the verdict in UTC.
        comment: Words of the reader.
        seconds: Time that the case was on the screen.
        edited_voxels: Number of corrected voxels.
        mask_sha256: SHA-256 of the mask's file that was read.
        models: Models that drew the mask.
        outcome: What became of it: `label`, `queued`, `rejected`, `disputed`, `undecided`, or `failed: ` and the
            reason.
        label: Path of the label that came of it, relative to the data root.
        applied: Time at which it was taken over in UTC.
    """

    case_id: Text
    reader: Text
    verdict: Verdict | None
    decided: str
    comment: Text
    seconds: float
    edited_voxels: int
    mask_sha256: str
    models: tuple[Text, ...]
    outcome: Text
    label: str | None = None
    applied: str


class CaseToLabel(Config):
    """A case whose mask was rejected.

    Attributes:
        case_id: Id of the case.
        patient_id: Patient of the case; None where it is not in the data set.
        images: Images of the case, relative to the data root; as predict recorded them for a case that is not in the
            data set.
        reason: Comment of the readers.
        readers: Those who rejected the mask.
        decided: Time of the decision in UTC.
    """

    case_id: Text
    patient_id: Text | None
    images: tuple[str, ...]
    reason: Text
    readers: tuple[Text, ...]
    decided: str


def beside(manifest: Path, name: str) -> Path:
    """A file beside a manifest: `NAME.json`, or `STEM.NAME.json` beside a manifest of another name."""
    return manifest.with_name(f"{name}.json" if manifest.name == "dataset.json" else f"{manifest.stem}.{name}.json")


def load_log(path: Path) -> tuple[LoggedReview, ...]:
    """All decisions so far; none where there is no file.

    Raises:
        ManifestError: If the file is damaged.
    """
    return _load(path, "reviews", LoggedReview)


def load_queue(path: Path) -> tuple[CaseToLabel, ...]:
    """The cases that wait for a label; none where there is no file.

    Raises:
        ManifestError: If the file is damaged.
    """
    return _load(path, "cases", CaseToLabel)


def is_known(decision: Decision, log: Sequence[LoggedReview]) -> bool:
    """Whether every reader's word on a case was taken over before; failures and disputes are tried again."""
    done = {
        (one.reader, one.verdict, one.decided, one.comment, one.mask_sha256, one.edited_voxels)
        for one in log
        if one.case_id == decision.case_id and one.outcome in _FINAL
    }
    said = {
        (entry.reader, one.verdict, one.decided, one.comment, one.mask_sha256, one.edited_voxels)
        for entry in decision.entries
        for one in [entry.review]
    }
    return said <= done


def log_entries(
    decision: Decision, *, outcome: str, label: str | None, models: tuple[str, ...], before: Sequence[LoggedReview]
) -> list[LoggedReview]:
    """What is kept of a decision that was taken over just now, an entry for each reader.

    What failed or was disputed in the same words before is kept once.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entries = [
        LoggedReview(
            case_id=decision.case_id,
            reader=entry.reader,
            verdict=entry.review.verdict,
            decided=entry.review.decided,
            comment=entry.review.comment,
            seconds=entry.review.seconds,
            edited_voxels=entry.review.edited_voxels,
            mask_sha256=entry.review.mask_sha256,
            models=models,
            outcome=outcome,
            label=label,
            applied=now,
        )
        for entry in decision.entries
    ]
    known = [one.model_copy(update={"applied": now}) for one in before if one.case_id == decision.case_id]
    return [entry for entry in entries if entry not in known]


def waiting_case(
    decision: Decision, case: Case | None, source: SourceRecord | None, *, patient: str | None
) -> CaseToLabel:
    """A rejected case in the queue.

    Args:
        decision: Decision of its readers.
        case: The case in the data set; None if it is not in it.
        source: What the mask was drawn on.
        patient: Patient of a case that is not in the data set; None if that is not known.
    """
    comments = dict.fromkeys(entry.review.comment for entry in decision.decided if entry.review.comment)
    return CaseToLabel(
        case_id=decision.case_id,
        patient_id=case.patient_id if case else patient,
        images=case.images if case else (source.files if source else ()),
        reason="; ".join(comments),
        readers=decision.readers,
        decided=decision.review.decided,
    )


def save_log(path: Path, log: Sequence[LoggedReview]) -> None:
    """Write all decisions, the earlier ones among them."""
    write_json(path, {"reviews": [one.model_dump(mode="json") for one in log]})


def save_queue(path: Path, queue: Sequence[CaseToLabel], *, labelled: Collection[str]) -> tuple[CaseToLabel, ...]:
    """Write the cases to label, the last word on each, without those that have a label now."""
    waiting = {one.case_id: one for one in queue if one.case_id not in labelled}
    if waiting or path.exists():
        write_json(path, {"cases": [one.model_dump(mode="json") for one in waiting.values()]})
    return tuple(waiting.values())


def _load(path: Path, key: str, kind: type[AnyConfig]) -> tuple[AnyConfig, ...]:
    if not path.exists():
        return ()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))[key]
        if not isinstance(content, list):
            raise ConfigError(f"{key} must be a list, got {type(content).__name__}")
        return tuple(parse_config(kind, one, source=key) for one in content)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
        raise ManifestError(
            f"{path.name}: must be as medseg review wrote it, got: {error}",
            remedy="bring back an earlier copy, or move it away to begin another",
        ) from error
