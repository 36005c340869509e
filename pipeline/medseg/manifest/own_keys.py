"""Our own dataset.json as people write it by hand: with keys of other programs, or without case ids."""

from __future__ import annotations

import logging
from typing import Any

from medseg.manifest.case_names import names_of_cases, without_hidden
from medseg.manifest.channel_names import names_by_number, read_channels
from medseg.manifest.label_names import is_by_value, is_mixed, read_labels
from medseg.manifest.msd import FOREIGN

_log = logging.getLogger(__name__)
_SCHEMA = "$schema"


def with_own_keys(content: dict[str, Any]) -> dict[str, Any]:
    """The content in our own form, as far as it can be told; what is wrong in it stays for the check of the form.

    Keys of the Decathlon and of nnU-Net that say nothing more are left out, labels that are listed by value are listed
    by name, and cases without an id get the name of their files.

    Raises:
        ManifestError: If there are no labels, or those of other forms are wrong, as `read_labels` says.
    """
    foreign = sorted(FOREIGN & content.keys())
    if foreign:
        _log.warning("keys of other programs are not used: %s", ", ".join(foreign))
    own = {key: value for key, value in content.items() if key != _SCHEMA and key not in FOREIGN}
    labels = own.get("labels")
    is_missing = "labels" not in own and "training" in own and "quantities" not in own
    if is_missing or isinstance(labels, list) or (isinstance(labels, dict) and _needs_reading(labels)):
        own["labels"] = read_labels(labels)
    channels = own.get("channel_names")
    if isinstance(channels, str | list):
        own["channel_names"] = {str(number): name for number, name in enumerate(read_channels(own))}
    elif isinstance(channels, dict) and any(isinstance(number, int) for number in channels.values()):
        own["channel_names"] = names_by_number(channels)
    for split in ("training", "test"):
        entries = own.get(split)
        if isinstance(entries, list) and not all(isinstance(entry, dict) and "case_id" in entry for entry in entries):
            own[split] = _with_ids(entries)
    return own


def _needs_reading(labels: dict[Any, Any]) -> bool:
    return is_by_value(labels) or is_mixed(labels)


def is_own_form(content: dict[str, Any]) -> bool:
    """Whether nothing had to be added, changed or left out."""
    return with_own_keys(content) == {key: value for key, value in content.items() if key != _SCHEMA}


def _with_ids(entries: list[Any]) -> list[Any]:
    """Entries with ids from the names of their files; entries without an image stay as they are."""
    full = [{"image": entry} if isinstance(entry, str) else entry for entry in entries]
    images = [_images(entry) for entry in full]
    shown = set(without_hidden([files[0] for files in images if files]))
    names = names_of_cases([files or [""] for files in images])
    return [
        {"case_id": name, **entry} if files else entry
        for entry, files, name in zip(full, images, names, strict=True)
        if not files or files[0] in shown
    ]


def _images(entry: Any) -> list[str]:
    """Image paths of an entry; empty where they are not given as text."""
    listed = entry.get("image") if isinstance(entry, dict) else None
    files = [listed] if isinstance(listed, str) else listed
    return files if isinstance(files, list) and all(isinstance(file, str) for file in files) else []
