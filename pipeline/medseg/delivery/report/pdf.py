"""A page as PDF, through WeasyPrint, which is loaded only when a PDF is asked for."""

from __future__ import annotations

import importlib
import io
import logging
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from medseg.atomic import atomic_path
from medseg.errors import DeliveryError


def check_pdf() -> Any:
    """Load WeasyPrint, and refuse a PDF before any work where it cannot be made.

    Returns:
        The module.

    Raises:
        DeliveryError: If the package or the library Pango that it draws text with is missing.
    """
    from PIL import ImageFile

    banner = io.StringIO()  # WeasyPrint prints its own where Pango is missing
    takes_truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        with redirect_stdout(banner), redirect_stderr(banner):
            return importlib.import_module("weasyprint")
    except ModuleNotFoundError as error:
        fact = f"pdf: the package weasyprint must be installed, got: no module {error.name}"
        raise DeliveryError(fact, remedy="install it with pip install weasyprint, or leave the PDF out") from error
    except OSError as error:
        first = (str(error).splitlines() or [""])[0]
        raise DeliveryError(
            f"pdf: the library Pango must be installed, which draws the text, got: {first}",
            remedy="install it, on Debian and Ubuntu with apt-get install libpangoft2-1.0-0 libharfbuzz-subset0, or "
            "leave the PDF out",
        ) from error
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = takes_truncated  # WeasyPrint lets every reader of this process take them


def save_pdf(page: str, path: Path) -> None:
    """Write a self-contained page as PDF on A4, whole or not at all.

    Args:
        page: HTML text; what it names outside of itself is not loaded.
        path: Target file.

    Raises:
        DeliveryError: If WeasyPrint is missing, or the file cannot be written.
    """
    weasyprint = check_pdf()
    logging.getLogger("weasyprint").setLevel(logging.ERROR)  # it warns of every rule that is for screens alone
    with atomic_path(path, suffix=".pdf") as temporary:
        document = weasyprint.HTML(string=page, url_fetcher=_fetcher(weasyprint))
        temporary.write_bytes(document.write_pdf())


def _fetcher(weasyprint: Any) -> Any:
    """Reads what stands in the page itself, and nothing else."""
    return weasyprint.URLFetcher(allowed_protocols=("data",))
