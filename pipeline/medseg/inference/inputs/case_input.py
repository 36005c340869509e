"""The cases that a list of paths means, and everything there that is no case."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from medseg.errors import PipelineError
from medseg.inference.source_record import SourceRecord
from medseg.records import Failure, Split

if TYPE_CHECKING:
    from medseg.ingest.image_source import ImageSource


@dataclass(frozen=True, slots=True)
class CaseInput:
    """A case to predict.

    Attributes:
        case_id: Name of the case, and of its mask.
        files: Files of its channels, in order; of DICOM all files of its series.
        source: Record of the files or series for the result; without identity under pseudonyms.
        series: DICOM series of its channels, or the one that holds all; empty for files.
        key: Secret under which checksums of the case are hashed; None where ids are not pseudonyms.
    """

    case_id: str
    files: tuple[Path, ...]
    source: SourceRecord | None = None
    series: tuple[ImageSource, ...] = field(default=(), repr=False)
    key: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputChoice:
    """Choices among the inputs.

    Attributes:
        data_root: Data root of a manifest; its own folder if not given.
        fold: Fold of a manifest to take the validation cases of; all cases if not given.
        split: Split of a manifest to take; all cases if not given.
        series: DICOM series to take: numbers, UIDs or their unique beginnings or ends, or words of descriptions;
            `3#2` is the second volume of series 3. If not given, the one that fits the model.
        pseudonyms: Private table that leads from pseudonyms back to patients; ids are not pseudonyms if not given.
        out: Folder of the results, left out of the search, since it may lie within an input.
    """

    data_root: Path | None = None
    fold: int | None = None
    split: Split | None = None
    series: tuple[str, ...] = ()
    pseudonyms: Path | None = None
    out: Path | None = None


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A file, link or series that is no case, and the reason.

    Attributes:
        path: Path below what was given; a pseudonym where ids are pseudonyms.
        reason: Reason in words, the same for all of a kind.
        files: Files that it stands for.
    """

    path: str
    reason: str
    files: tuple[Path, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class RefusedInput:
    """A case that cannot be predicted, known before it is read.

    Attributes:
        case_id: Name of the case.
        error: Reason.
        files: Files that it would have been read from.
    """

    case_id: str
    error: PipelineError
    files: tuple[Path, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class FoundInputs:
    """Everything below the paths that were given; each file is in a case, passed over or refused.

    Attributes:
        cases: Cases to predict, in the order of the paths.
        passed_over: Files and series that are no case.
        refused: Cases that cannot be predicted.
    """

    cases: tuple[CaseInput, ...]
    passed_over: tuple[PassedOver, ...] = ()
    refused: tuple[RefusedInput, ...] = ()

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The refused cases as failures."""
        return tuple(Failure.of(one.case_id, "find", one.error) for one in self.refused)
