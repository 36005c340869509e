"""Case ids: which are safe as file names, and which the files of a case give."""

from __future__ import annotations

import itertools
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath

from medseg.scans import scan_stem

_log = logging.getLogger(__name__)
_RESERVED = frozenset('/\\:*?"<>|')  # separators of folders, and what Windows takes in no file name
# Control characters, halves of surrogates (bytes that are not UTF-8) and line separators; format characters such as
# the joiners of Persian and Hindi are parts of words.
_UNSAFE_KINDS = frozenset(("Cc", "Cs", "Zl", "Zp"))
_DOTS = re.compile(r"\.{2,}")
_TO_LAST_SEPARATOR = re.compile(r"(.+)[_\-. ]")


def is_safe_name(case_id: str) -> bool:
    """Whether a case id can be part of a file name on any system.

    Letters of any script with their combining marks, digits, brackets, spaces and signs such as `#` and `'` can; an id
    must not begin or end with a space or begin with a dot, nor hold two dots in a row.
    """
    if not case_id or case_id != case_id.strip() or case_id.startswith(".") or ".." in case_id:
        return False
    return not any(sign in _RESERVED or unicodedata.category(sign) in _UNSAFE_KINDS for sign in case_id)


def safe_name(text: str) -> str:
    """The text as part of a file name: as it is where that is safe, else with `_` for each unsafe sign."""
    if is_safe_name(text):
        return text
    signs = ("_" if sign in _RESERVED or unicodedata.category(sign) in _UNSAFE_KINDS else sign for sign in text)
    return _DOTS.sub("_", "".join(signs)).strip().lstrip(". ") or "unnamed"


def is_hidden(path: str) -> bool:
    """Whether a path is that of a hidden file, such as the `._` companions that macOS writes beside each file."""
    return PurePosixPath(path).name.startswith(".")


def without_hidden(paths: Sequence[str]) -> list[str]:
    """Paths of files that are not hidden; the number of the others is logged."""
    shown = [path for path in paths if not is_hidden(path)]
    if len(shown) < len(paths):
        _log.warning("%d hidden file(s) were passed over, such as those that macOS writes", len(paths) - len(shown))
    return shown


def names_of_cases(cases: Sequence[Sequence[str]]) -> list[str]:
    """Case ids from the names of files: that of the only file, or what the names of the channels share.

    A name that several cases have gets the name of the folder before it.

    Args:
        cases: Image paths of each case.
    """
    names = [_shared_name(files) for files in cases]
    count = Counter(names)
    return [
        name if count[name] == 1 else f"{PurePosixPath(files[0]).parent.name}_{name}".lstrip("_")
        for name, files in zip(names, cases, strict=True)
    ]


def _shared_name(files: Sequence[str]) -> str:
    stems = [scan_stem(PurePosixPath(file)) for file in files]
    if len(stems) == 1:
        return stems[0]
    signs = itertools.takewhile(lambda signs: len(set(signs)) == 1, zip(*stems, strict=False))
    shared = _TO_LAST_SEPARATOR.match("".join(first for first, *_ in signs))
    return shared[1] if shared else PurePosixPath(files[0]).parent.name or "_".join(stems)
