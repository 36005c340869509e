"""Whether a scan has the channels that a network takes."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from medseg.errors import ScanError
from medseg.records import Scan

_log = logging.getLogger(__name__)


def check_channels(scan: Scan, channels: Sequence[str], *, case_id: str, owner: str = "model") -> None:
    """Refuse a scan with more or fewer channels than a network takes.

    Args:
        scan: Scan as it was read.
        channels: Names of the channels that the network takes.
        case_id: Case that the scan belongs to.
        owner: Name of the network in the message.

    Raises:
        ScanError: If their numbers differ.
    """
    if len(scan.array) != len(channels):
        raise ScanError(
            f"image must have the {owner}'s {len(channels)} channels ({', '.join(channels)}), got {len(scan.array)}",
            remedy="give the scan with these channels alone, in one file, or in files of one channel each, numbered "
            "from _0000 on",
            case_id=case_id,
        )


def warn_of_constant(scan: Scan, channels: Sequence[str], *, case_id: str) -> None:
    """Log the channels of a scan that hold one value everywhere, as where a missing sequence was filled in."""
    for name, channel in zip(channels, scan.array, strict=True):
        if channel.min() == channel.max():
            _log.warning("case %s: channel %s holds one value everywhere", case_id, name)
