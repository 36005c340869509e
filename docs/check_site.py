"""Refuse a built site that fetches anything: a page or style sheet that names an asset on another machine.

Usage: `python -m docs.check_site`.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from docs.rooms import ROOT

SITE = ROOT / "site"

# What a browser loads by itself: scripts, pictures, frames and style sheets, but not the links that a reader follows. A
# mermaid diagram counts too: the theme would load the program that draws it.
_ADDRESS = r"""["']?\s*((?:https?:)?//[^"'\s>)]+)"""
_LOADING = "script|img|iframe|source|video|audio|embed|input|image|use"
_LOADED = (
    re.compile(rf"<(?:{_LOADING})\b[^>]*?\b(?:src|href)\s*=\s*{_ADDRESS}", re.I),
    re.compile(rf"<[^>]*?\b(?:srcset|poster)\s*=\s*{_ADDRESS}", re.I),
    re.compile(rf"<object\b[^>]*?\bdata\s*=\s*{_ADDRESS}", re.I),
    re.compile(rf"<link\b(?![^>]*\brel=[\"']?(?:canonical|prev|next|license)\b)[^>]*?\bhref\s*=\s*{_ADDRESS}", re.I),
    re.compile(rf"\burl\(\s*{_ADDRESS}", re.I),
    re.compile(rf"@import\s+{_ADDRESS}", re.I),
    re.compile(r"""class=["'][^"']*\b(mermaid)\b""", re.I),
    re.compile(r"^\s*```\s*(mermaid)\b", re.I | re.M),
    re.compile(rf"!\[[^\]]*\]\(\s*{_ADDRESS}", re.I),
)


def main() -> None:
    """Look through the built site."""
    found = external_assets(SITE)
    if found:
        sys.exit("the site must fetch nothing, got:\n" + "\n".join(found))
    pages = len(list(SITE.rglob("*.html")))
    sys.stdout.write(f"{pages} pages in {SITE.name}/, begin with {SITE.name}/index.html\n")


def external_assets(folder: Path) -> list[str]:
    """Every asset on another machine that a page or style sheet in a folder names, with the file that names it."""
    pages = sorted(path for path in folder.rglob("*") if path.suffix in {".html", ".css", ".svg", ".md"})
    return [
        f"{path.relative_to(folder)}: {asset}"
        for path in pages
        for asset in loaded_from_elsewhere(path.read_text(encoding="utf-8"))
    ]


def loaded_from_elsewhere(text: str) -> list[str]:
    """Addresses of what a browser would load from another machine for a page or style sheet."""
    return [found[1] for pattern in _LOADED for found in pattern.finditer(text)]


if __name__ == "__main__":
    main()
