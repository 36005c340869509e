"""The page of a package, for whoever receives it."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2

from medseg.inference.requests import RequestLimits
from medseg.inference.segmentation.package_card import PackageCard
from medseg.tracking.own_wheel import wheel_name


def package_page(card: PackageCard, forms: Sequence[str], limits: RequestLimits) -> str:
    """What a package is and how it is used, as Markdown.

    Args:
        card: Card of the package.
        forms: Names of the forms in it.
        limits: Limits of each request to a server.
    """
    labels = ", ".join(f"{name} ({value})" for name, value in card.labels.items() if value)
    datasets = ", ".join(dict.fromkeys(one.dataset for one in card.models))
    # Markdown, which a browser does not run; names are shown as they are.
    pages = jinja2.Environment(  # noqa: S701
        loader=jinja2.PackageLoader("medseg.delivery.package_page"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    parts = [pages.get_template(f"{name}.md") for name in ("head", *forms)]
    shown = {"card": card, "labels": labels, "datasets": datasets, "wheel": wheel_name(), "limits": limits}
    return "".join(part.render(**shown) for part in parts)
