"""The files of a case read back from disk: those with voxels first, then those that say what was measured of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from medseg.delivery.certificate import (
    CertifiedFile,
    CheckedContents,
    CheckedReader,
    ExpectedMask,
    MeasuredAgain,
    ReadMasks,
    compare_masks,
    measure_again,
)
from medseg.delivery.export.delivered_case import DeliveredCase
from medseg.delivery.export.forms import FORMS, WrittenFile, mask_readers
from medseg.errors import PipelineError
from medseg.inference.mask_folder import file_sha256
from medseg.scans.read_back import ReadBack

FAILED = ".failed"


class ReadFiles(NamedTuple):
    """Files that were read back.

    Attributes:
        files: Each with what was read of it.
        measured: Measurements of the mask as it was read back; None if no file needs them, or no file passed.
    """

    files: tuple[CertifiedFile, ...]
    measured: MeasuredAgain | None


def certify_files(
    written: Sequence[tuple[str, WrittenFile]], folder: Path, case: DeliveredCase, *, is_measured: bool
) -> ReadFiles:
    """Read every file back; one that fails gets a name that says so.

    Args:
        written: Files with the forms that they belong to.
        folder: Folder of the case.
        case: Case that the files are of.
        is_measured: Whether files to come need the measurements, too.
    """
    reading = _Reading(case, is_measured or any(check.by_measurements for _, file in written for check in file.checks))
    readers = [reading.read(file) for _, file in written]
    measured = reading.measured()
    contents = [tuple(check.check(measured) for check in file.checks) for _, file in written]  # before any is renamed
    files = tuple(
        _certified(form, file.path, folder, read, said)
        for (form, file), read, said in zip(written, readers, contents, strict=True)
    )
    return ReadFiles(files, measured)


def certify_file(form: str, file: WrittenFile, folder: Path, measured: MeasuredAgain | None) -> CertifiedFile:
    """Read one file without voxels back.

    Args:
        form: Form that it belongs to.
        file: The file.
        folder: Folder of the case.
        measured: Measurements of the mask that was read back.
    """
    return _certified(form, file.path, folder, (), tuple(check.check(measured) for check in file.checks))


class _Reading:
    """Files with voxels, of which the first one that passes is measured."""

    def __init__(self, case: DeliveredCase, is_measured: bool) -> None:
        self._case = case
        self._is_measured = is_measured
        self._measured: MeasuredAgain | None = None

    def read(self, file: WrittenFile) -> tuple[CheckedReader, ...]:
        """What each library reads of a file."""
        part = self._case.expected if file.structures is None else self._case.expected.only(file.structures)
        is_wanted = self._is_measured and self._measured is None and file.is_exact
        checked: list[CheckedReader] = []
        measured = None
        for read in file.readers:
            one, again = self._read_by(read, part, file.least_dice, is_measured=is_wanted and measured is None)
            checked.append(one)
            measured = measured or again
        if measured is not None and all(one.is_passed for one in checked):
            self._measured = measured
        return tuple(checked)

    def _read_by(
        self, read: Callable[[], ReadBack], part: ExpectedMask, least_dice: float, *, is_measured: bool
    ) -> tuple[CheckedReader, MeasuredAgain | None]:
        """What one library reads, and its measurements; its voxels are let go before the next one reads."""
        found = _compared(part, read, least_dice)
        is_measured = is_measured and found.checked.is_passed
        return found.checked, measure_again(found, part, self._case.scan) if is_measured else None

    def measured(self) -> MeasuredAgain | None:
        """Measurements of the mask that was read back, by a copy on the disk if no delivered file could be measured."""
        if self._is_measured and self._measured is None:
            from medseg.scans import write_mask

            case = self._case
            with tempfile.TemporaryDirectory() as place:
                path = write_mask(case.labels, case.scan, Path(place), case_id="mask")
                self.read(WrittenFile(path=path, readers=mask_readers(case, path)[:1]))
        return self._measured


def _compared(part: ExpectedMask, read: Callable[[], ReadBack], least_dice: float) -> ReadMasks:
    """Read a file by one library; a file that it refuses fails, and is kept like any other that does."""
    try:
        return compare_masks(part, read(), least_dice=least_dice)
    except (PipelineError, RuntimeError, OSError, ValueError, LookupError) as error:
        fact = error.fact if isinstance(error, PipelineError) else f"an error of the kind {type(error).__name__}"
        words = getattr(read, "func", read).__name__.removeprefix("read_").replace("_", " ")
        reason = f"it cannot be read, {fact}"
        checked = CheckedReader(library=words, least_dice=least_dice, is_passed=False, reason=reason)
        return ReadMasks(checked, partial(iter, ()))


def _certified(
    form: str,
    path: Path,
    folder: Path,
    readers: tuple[CheckedReader, ...],
    contents: tuple[CheckedContents, ...],
) -> CertifiedFile:
    checked: list[CheckedReader | CheckedContents] = [*readers, *contents]
    if path.exists() and not all(one.is_passed for one in checked):
        path = path.rename(path.with_name(f"{path.name}{FAILED}"))
    return CertifiedFile(
        name=path.relative_to(folder).as_posix(),
        form=form,
        sha256=file_sha256(path) or "",
        holds_identity=FORMS[form].needs == "dicom",
        readers=readers,
        contents=contents,
    )
