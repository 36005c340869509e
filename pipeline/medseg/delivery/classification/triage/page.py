"""triage.html: one self-contained page for the daily review; its scripts sort and filter but are not needed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from medseg.atomic import write_text
from medseg.delivery.charts import COLOURS
from medseg.delivery.classification.triage import curve
from medseg.delivery.classification.triage.legible import in_mm, legible
from medseg.delivery.classification.triage.rows import make_ranking
from medseg.delivery.classification.triage.study import TriageStudy
from medseg.delivery.pages import fill_page
from medseg.plane import ENDS, Direction
from medseg.records import Failure

_TEMPLATE = "classification/triage/templates/page.html.jinja"


def save_triage_page(
    studies: Sequence[TriageStudy],
    path: Path,
    *,
    classes: Sequence[str],
    background: str | None,
    direction: Direction,
    model: str,
    is_calibrated: bool,
    failures: Sequence[Failure] = (),
    made: datetime | None = None,
) -> None:
    """Write a self-contained page of all studies, the most probable first, below the failures.

    A thousand studies with two key slices take about 8 MB, and less than 20 MB if all pictures are noise. A study whose
    numbers are NaN or infinite has no rank and is listed among the failures. Of more than eight classes the eight with
    the highest probabilities get a column; the ranking by any class is over all of them.

    Args:
        studies: Studies in any order.
        path: Target file.
        classes: Names of the columns of the scores.
        background: Class of slices that show no structure; None if there is none.
        direction: Patient axis of the positions.
        model: Name of the dataset and digest of the weights.
        is_calibrated: Whether probabilities were calibrated on cases of known truth.
        failures: Studies without scores.
        made: Time on the page; now by default.

    Raises:
        DeliveryError: If a study does not have a column per class, or the page cannot be written.
        ConfigError: If there is no foreground class.
    """
    ranking = make_ranking(studies, classes, background)
    facts = {
        "ranking": ranking,
        "failures": [
            (legible(failure.case_id), failure.stage, legible(failure.reason))
            for failure in (*failures, *ranking.failures)
        ],
        "ends": ENDS[direction],
        "direction": direction,
        "model": legible(model),
        "is_calibrated": is_calibrated,
        "made": (made or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M %Z").strip(),
        "colours": COLOURS,
        "box": curve,
        "in_mm": in_mm,
    }
    # The page states its own size, so it is filled once to measure it, then with the number.
    megabytes = len(fill_page(_TEMPLATE, **facts, megabytes=0.0).encode(errors="backslashreplace")) / 1e6
    write_text(path, fill_page(_TEMPLATE, **facts, megabytes=megabytes))
