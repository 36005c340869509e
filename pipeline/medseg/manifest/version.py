"""Version numbers of manifests."""

from __future__ import annotations

import re

_LAST_NUMBER = re.compile(r"(?:^|(?<=\.))\d+$")


def next_version(version: str) -> str:
    """The version after this one: its last number increased, or `.1` added if it does not end in a number.

    `1` → `2`, `1.9` → `1.10`, `2024-05` → `2024-05.1`, `` → `1`.
    """
    if not version:
        return "1"
    match = _LAST_NUMBER.search(version)
    return f"{version[: match.start()]}{int(match[0]) + 1}" if match else f"{version}.1"
