"""Channel names as other programs list them."""

from __future__ import annotations

from typing import Any

from medseg.errors import ManifestError
from medseg.manifest.document import ordered_channels
from medseg.manifest.label_names import is_whole


def read_channels(content: dict[str, Any]) -> tuple[str, ...]:
    """Names of the channels in their order, from `channel_names` (nnU-Net) or else `modality` (Decathlon).

    One name, a list of names, names by number (`{"0": "CT"}`) and numbers by name (`{"CT": 0}`) are read.

    Raises:
        ManifestError: If the numbers are not 0, 1, 2, …, neither key is there, or it lists no names.
    """
    key = "modality" if "modality" in content and "channel_names" not in content else "channel_names"
    listed = content.get(key)
    if isinstance(listed, dict):
        return ordered_channels(names_by_number(listed))
    names = [listed] if isinstance(listed, str) and listed else listed
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        fact = f"{key} must list the names of the channels, got {'none' if listed is None else repr(listed)}"
        raise ManifestError(fact, remedy='write channel_names, such as {"0": "CT"}')
    return tuple(names)


def names_by_number(listed: dict[Any, Any]) -> dict[str, str]:
    """Names by number, from these or from numbers by name."""
    is_by_name = all(is_whole(str(number)) for number in listed.values()) and not all(map(is_whole, map(str, listed)))
    if is_by_name and len({str(number) for number in listed.values()}) == len(listed):
        return {str(number): str(name) for name, number in listed.items()}
    return {str(number): str(name) for number, name in listed.items()}
