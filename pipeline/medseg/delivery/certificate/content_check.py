"""How a file without voxels is read back and checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from medseg.delivery.certificate.contents import CheckedContents, Expected, check_contents
from medseg.delivery.certificate.measured_again import MeasuredAgain
from medseg.errors import PipelineError
from medseg.scans.statements import Statements


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentCheck:
    """A reader of a file, and what it must find.

    Attributes:
        reader: Name of the reader in words, for files that it cannot read.
        read: Reads the file.
        expected: Gives what it must say.
        by_measurements: Gives the same by the measurements of the mask that was read back.
    """

    reader: str
    read: Callable[[], Statements]
    expected: Callable[[], Expected] | None = None
    by_measurements: Callable[[MeasuredAgain], Expected] | None = None

    def check(self, measured: MeasuredAgain | None) -> CheckedContents:
        """Read the file and compare; a file that cannot be read or compared fails.

        Args:
            measured: Measurements of the mask that was read back; None if no file of it passed.
        """
        try:
            if self.expected is not None:
                wanted = self.expected()
            elif self.by_measurements is not None and measured is not None:
                wanted = self.by_measurements(measured)
            else:
                return self._failed("no mask was read back by which it could be checked")
            return check_contents(wanted, self.read())
        except (PipelineError, RuntimeError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            fact = error.fact if isinstance(error, PipelineError) else f"an error of the kind {type(error).__name__}"
            return self._failed(f"it cannot be read, {fact}")

    def _failed(self, reason: str) -> CheckedContents:
        return CheckedContents(library=self.reader, is_passed=False, reason=reason)
