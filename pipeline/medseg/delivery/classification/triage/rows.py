"""Rows of the triage page, in the order of the ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from medseg.delivery.classification.triage.curve import Curve, draw_curve
from medseg.delivery.classification.triage.foreground import foreground_columns, why_unranked
from medseg.delivery.classification.triage.key_slices import KeySlice
from medseg.delivery.classification.triage.legible import legible
from medseg.delivery.classification.triage.ranking import ranking_order
from medseg.delivery.classification.triage.study import TriageStudy
from medseg.delivery.classification.triage.thumbnail import Thumbnail, thumbnail
from medseg.records import Failure

MOST_CLASSES = 8


@dataclass(frozen=True, slots=True)
class Share:
    """One probability as text, with the number of its colour; the highest of any class also names its class."""

    text: str
    colour: int | None
    class_name: str = ""

    @property
    def percent(self) -> float:
        """Width of the bar."""
        return round(100 * min(max(float(self.text), 0), 1), 1)


@dataclass(frozen=True, slots=True)
class Picture:
    """The picture of one key slice; the colour is None where the class has no column."""

    key: KeySlice
    class_name: str
    image: Thumbnail
    colour: int | None


@dataclass(frozen=True, slots=True)
class Row:
    """The row of one study: its rank by each column of the page, probabilities, curve and pictures."""

    case_id: str
    slices: int
    ranks: tuple[int, ...]
    shares: tuple[Share, ...]
    curve: Curve
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Rows, the most probable first; classes with a column; number of classes without one; studies without a rank."""

    rows: list[Row]
    shown: list[str]
    hidden: int
    failures: list[Failure]


def make_ranking(studies: Sequence[TriageStudy], classes: Sequence[str], background: str | None) -> Ranking:
    """Rank the studies by each class; of more than eight classes those with the highest probabilities are shown.

    With several classes, a first column holds the highest probability of any class.
    """
    columns = foreground_columns(classes, background)
    unranked = {number: why_unranked(study.scores, list(columns)) for number, study in enumerate(studies)}
    kept = [study for number, study in enumerate(studies) if unranked[number] is None]
    shown = _shown(kept, columns)
    colours = {column: colour for colour, column in enumerate(shown)}
    sorts = [list(columns), *([column] for column in shown)] if len(columns) > 1 else [shown]
    orders = [ranking_order([study.scores for study in kept], classes, sort) for sort in sorts]
    places = [{number: rank for rank, number in enumerate(order, start=1)} for order in orders]
    rows = [
        _row(kept[number], tuple(place[number] for place in places), columns, colours, classes) for number in orders[0]
    ]
    failures = [
        Failure(study.case_id, "classify", str(error))
        for number, study in enumerate(studies)
        if (error := unranked[number]) is not None
    ]
    return Ranking(rows, [legible(columns[column]) for column in shown], len(columns) - len(shown), failures)


def _shown(studies: Sequence[TriageStudy], columns: Mapping[int, str]) -> list[int]:
    """Columns with room on the page, in their own order."""
    highest = {column: max((float(study.scores.study[column]) for study in studies), default=0) for column in columns}
    return sorted(sorted(columns, key=lambda column: -highest[column])[:MOST_CLASSES])


def _row(
    study: TriageStudy,
    ranks: tuple[int, ...],
    columns: Mapping[int, str],
    colours: Mapping[int, int],
    classes: Sequence[str],
) -> Row:
    scores = study.scores
    shares = [Share(f"{scores.study[column]:.3f}", colour) for column, colour in colours.items()]
    if len(columns) > 1:
        best = max(columns, key=lambda column: float(scores.study[column]))
        shares.insert(0, Share(f"{scores.study[best]:.3f}", colours.get(best), legible(columns[best])))
    colour_of = {columns[column]: colour for column, colour in colours.items()}
    pictures = tuple(
        Picture(key, legible(key.class_name), thumbnail(picture), colour_of.get(key.class_name))
        for key, picture in zip(study.keys, study.thumbnails, strict=True)
    )
    curve = draw_curve(scores, study.keys, colours, classes)
    return Row(legible(study.case_id), len(scores.positions_mm), ranks, tuple(shares), curve, pictures)
