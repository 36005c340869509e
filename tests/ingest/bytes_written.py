"""Search everything that was written, and everything that was said, for what may not be there."""

from __future__ import annotations

import gzip
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

_WORD = re.compile(r"[^\W_]+")


def parts_of(values: Iterable[str]) -> set[str]:
    """The values, and each of their words of three letters or more; whole words of scripts without an alphabet."""
    found = set()
    for value in values:
        found.add(value)
        found |= {word for word in _WORD.findall(value) if len(word) >= 3 or ord(word[0]) > 0x2E80}
    return found


def leaks(values: Iterable[str], *texts: str, folders: Iterable[Path] = ()) -> list[str]:
    """`VALUE in PLACE` for every value that stands in a text, a file name or the (decompressed) bytes of a file."""
    places = [(f"text {number}", _plain(text)) for number, text in enumerate(texts)]
    places += [place for folder in folders for place in _files(folder)]
    wanted = {value: _plain(value) for value in values}
    return sorted(f"{value!r} in {name}" for value, plain in wanted.items() for name, text in places if plain in text)


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    for path in paths:
        yield f"the name {path.name}", _plain(path.name)
        if not path.is_file():
            continue
        content = path.read_bytes()
        yield path.name, _plain(_as_text(content))
        if content[:2] == b"\x1f\x8b":
            yield f"{path.name}, unpacked", _plain(_as_text(gzip.decompress(content)))
        if b"\\u" in content:
            yield f"{path.name}, unescaped", _plain(content.decode("unicode_escape", errors="replace"))


def _as_text(content: bytes) -> str:
    """Bytes as UTF-8, and again as Latin-1, in which headers of old files are written."""
    return content.decode("utf-8", errors="replace") + "\n" + content.decode("latin-1")


def _plain(text: str) -> str:
    """Without case and without the two ways to write an accent."""
    return unicodedata.normalize("NFC", text).casefold()
