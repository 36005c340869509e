"""The check that the mapping names every structure of a label, each in a way that leaves no doubt."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.errors import ManifestError
from medseg.ingest.context import IngestContext


def check_named(structures: Sequence[str], context: IngestContext) -> None:
    """Refuse a label whose structures the mapping does not tell.

    Args:
        structures: Names of the structures of one label.
        context: Settings and state that all cases share.

    Raises:
        ManifestError: If the mapping does not name a structure, or if two are one only by the likeness of their names.
    """
    unknown = [name for name in structures if context.label_of(name) is None]
    if unknown:
        listed = ", ".join(repr(context.scrub.name(name)) for name in unknown[:5])
        raise ManifestError(
            f"structures must be named in the mapping, got {listed}", remedy="add them to labels or to ignore"
        )
    alike = context.mapping.confused(structures)
    if alike:
        one, other = (repr(context.scrub.name(name)) for name in alike)
        raise ManifestError(
            f"structures that read alike must each be named in full in the mapping, got {one} and {other}",
            remedy="add both names to labels or to ignore",
        )
