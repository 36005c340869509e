"""Free text of the source, with everything that is known to identify a patient taken out."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pipeline.scans.dicom import Identity

_SHORTEST = 3
_HIDDEN = "…"
_WORD = re.compile(r"[^\W_]+", re.UNICODE)


class Scrubber:
    """Takes the identifying values of all patients of a source out of texts.

    Names are taken out whole and part by part, whatever the case; parts of fewer than three letters stay, since they
    are found in every text. Words that name a structure or modality anyway are no secret and stay.

    Args:
        identities: Of every file that was read.
        extra: Further values, such as the names of patient folders.
        harmless: Words that stay even where a patient or place bears them.
    """

    def __init__(
        self, identities: Iterable[Identity], *, extra: Iterable[str] = (), harmless: Iterable[str] = ()
    ) -> None:
        values: set[str] = set()
        for identity in set(identities):
            for value in (identity.patient_id, identity.birth_date, identity.institution, *identity.others):
                values.add(value.strip().casefold())
            values.add(identity.name.strip("^ ").casefold())
            values.update(word.casefold() for word in _WORD.findall(identity.name))
        values.update(value.casefold() for value in extra)
        kept = {word.casefold() for word in harmless}
        self._values = frozenset(value for value in values if len(value) >= _SHORTEST and value not in kept)

    def clean(self, text: str) -> str:
        """The text with every identifying value replaced by an ellipsis."""
        lowered = text.casefold()
        found = [value for value in self._values if value in lowered]
        for value in sorted(found, key=len, reverse=True):
            text = re.sub(re.escape(value), _HIDDEN, text, flags=re.IGNORECASE)
        return text

    def names_someone(self, text: str) -> bool:
        """Whether a text holds an identifying value."""
        return self.clean(text) != text
