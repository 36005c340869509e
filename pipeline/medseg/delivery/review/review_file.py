"""`review.json`: what a reader decided about masks, and what was corrected."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from medseg.configuration import Config, parse_config
from medseg.delivery.review.edits import Edit
from medseg.errors import ConfigError, ManifestError
from medseg.text import Text

Verdict = Literal["accepted", "rejected"]


def _in_utc(text: str) -> str:
    """A time as ISO 8601 writes it, in UTC, so that times are compared as texts; one without a zone counts as UTC."""
    if not text:
        return text
    moment = datetime.fromisoformat(text)
    return (moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat(timespec="seconds")


Moment = Annotated[str, AfterValidator(_in_utc)]
Reader = Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1)]


class CaseReview(Config):
    """What a reader said of one case.

    Attributes:
        case_id: Id of the case.
        mask_sha256: SHA-256 of the mask's file that was shown.
        verdict: What was decided; None where only a comment or corrections were left.
        comment: Words of the reader.
        decided: Time of the verdict in UTC, as ISO 8601 writes it; "" without one.
        seconds: Time that the case was on the screen.
        edits: Corrected voxels, by value.
    """

    case_id: Text
    mask_sha256: str
    verdict: Verdict | None = None
    comment: Text = ""
    decided: Moment = ""
    seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    edits: tuple[Edit, ...] = ()

    @property
    def edited_voxels(self) -> int:
        """Number of corrected voxels."""
        return sum(edit.voxels for edit in self.edits)


class ReviewFile(Config):
    """A review by one reader.

    Attributes:
        medseg_review: Version of this form.
        software: Software that made the page.
        reader: Name of the reader, as it was typed.
        saved: Time at which it was saved in UTC, as ISO 8601 writes it.
        cases: Cases with a verdict, a comment or corrections.
    """

    medseg_review: Literal[1]
    software: str = ""
    reader: Reader
    saved: Moment
    cases: tuple[CaseReview, ...]

    @model_validator(mode="after")
    def _cases_come_once(self) -> ReviewFile:
        twice = [case_id for case_id, count in Counter(case.case_id for case in self.cases).items() if count > 1]
        if twice:
            raise ValueError(f"each case must come once, got {twice[0]!r} twice")
        return self


def load_review(path: Path) -> ReviewFile:
    """Read a `review.json`.

    Raises:
        ManifestError: If it is missing, damaged or another file.
    """
    try:
        return parse_config(ReviewFile, json.loads(path.read_text(encoding="utf-8-sig")), source=path.name)
    except (OSError, ValueError, RecursionError, ConfigError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ManifestError(
            f"review {path.name}: must be as the review page saved it, got: {reason}",
            remedy="save it again from the page, and give that file",
        ) from error
