"""Write the pages of the site into `build/docs`: those of `docs/pages`, and those made out of the sources.

Usage: `python -m docs.assemble`.
"""

from __future__ import annotations

import shutil

from docs.api_pages import api_pages
from docs.architecture import fill_places
from docs.command_page import command_page
from docs.notebook_pages import notebook_pages
from docs.rooms import ROOT

PAGES = ROOT / "docs" / "pages"
ASSEMBLED = ROOT / "build" / "docs"


def main() -> None:
    """Write every page into an empty folder, so that none stays whose source is gone."""
    shutil.rmtree(ASSEMBLED, ignore_errors=True)
    shutil.copytree(PAGES, ASSEMBLED)
    shutil.copy(ROOT / "CONTRIBUTING.md", ASSEMBLED / "contributing.md")
    architecture = ASSEMBLED / "architecture.md"
    architecture.write_text(fill_places(architecture.read_text(encoding="utf-8")), encoding="utf-8")
    made = {"commands.md": command_page(), **api_pages(), **notebook_pages()}
    for name, content in made.items():
        path = ASSEMBLED / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


if __name__ == "__main__":
    main()
