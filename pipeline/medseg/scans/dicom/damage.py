"""The one border between the errors of DICOM libraries on damaged files and those of medseg."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from medseg.errors import PipelineError, ScanError


@contextmanager
def reading_dicom(what: str) -> Iterator[None]:
    """Turn any error of a library on a damaged file into a `ScanError` that quotes nothing of the file.

    pydicom and the decoders below it raise over a dozen kinds of error on mutated files, and their texts quote values,
    a patient's name among them; so every kind is caught here, and only its name is reported.
    """
    try:
        yield
    except (PipelineError, MemoryError):
        raise
    except BaseException as error:
        # A panic of a decoder written in Rust is not an Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ScanError(
            f"DICOM {what} must be whole, got damage reported as {type(error).__name__}", remedy="export it again"
        ) from None


@contextmanager
def quiet_dicom() -> Iterator[None]:
    """Silence pydicom's warnings and logging, which quote values; enter once, before any thread starts."""
    import pydicom  # noqa: F401 (its import sets the level of its logger; so it comes first)

    logger = logging.getLogger("pydicom")
    level = logger.level
    with warnings.catch_warnings():
        silence_dicom()
        try:
            yield
        finally:
            logger.setLevel(level)


def silence_dicom() -> None:
    """Silence pydicom's warnings and logging from now on, where threads read beside work that has filters of its own.

    The filters of warnings are one for all threads, so that a thread must not set and restore them.
    """
    import pydicom  # noqa: F401 (its import sets the level of its logger; so it comes first)

    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")
    warnings.filterwarnings("ignore", message="The DICOM readers are highly experimental")  # NiBabel's, of mosaics
