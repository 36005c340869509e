"""Pseudonyms: keyed hashes that only the holder of the key can link to patients."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from medseg.errors import ManifestError

_KEY_BYTES = 32
_MAX_SHIFT_DAYS = 365
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._-]+|(?<=\.)\.+")


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Names for patients, cases and UIDs.

    Args:
        key: Secret of the hashes; the same key gives the same names.
        keep_ids: Whether the patient ids and UIDs of the source are pseudonyms already and are kept.

    Source: HMAC-SHA256, RFC 2104. With its first 48 bits, two of 100,000 patients clash with a probability of 2 in
    100,000; an ingest refuses a clash.
    """

    key: bytes = field(repr=False)
    keep_ids: bool = False

    @property
    def fingerprint(self) -> str:
        """Checksum of the key, by which two runs know that they share it."""
        return self._digest("key", "fingerprint")[:16]

    def patient(self, patient: str, *, is_id: bool = True) -> str:
        """The patient's id in the dataset; a name in place of a missing id is never kept."""
        return safe_id(patient) if self.keep_ids and is_id else "p" + self._digest("patient", patient)[:12]

    def series(self, series: str) -> str:
        """A short name of a volume, different for each of a patient's cases."""
        return self._digest("series", series)[:6]

    def uid(self, uid: str) -> str | None:
        """A UID of the form 2.25.n (PS3.5 B.2); the source's own with `keep_ids`; None for an empty one."""
        if not uid:
            return None
        return uid if self.keep_ids else f"2.25.{int(self._digest('uid', uid)[:32], 16)}"

    def site(self, institution: str) -> str | None:
        """The pseudonym of a site; None if it is not given."""
        return "site_" + self._digest("site", institution.casefold())[:6] if institution else None

    def shifted_date(self, patient: str, date: str) -> str | None:
        """A date `YYYYMMDD` shifted into the past by 1 to 365 days, the same number for all of a patient's dates."""
        days = 1 + int(self._digest("shift", patient)[:8], 16) % _MAX_SHIFT_DAYS
        try:
            return (datetime.strptime(date, "%Y%m%d") - timedelta(days=days)).strftime("%Y%m%d")
        except (ValueError, OverflowError):
            return None

    def seal(self, text: str) -> str:
        """A keyed checksum of text that must not be stored itself, such as source paths."""
        return self._digest("seal", text)

    def _digest(self, kind: str, text: str) -> str:
        return hmac.new(self.key, f"{kind}\0{text}".encode("utf-8", "surrogateescape"), sha256).hexdigest()


def safe_id(text: str) -> str:
    """An id that is safe in a file name."""
    return _NOT_IN_IDS.sub("_", text).strip("._-") or "unnamed"


def load_key(path: Path) -> bytes:
    """Read the key; a missing file is created, readable by its owner only.

    Raises:
        ManifestError: If the file cannot be created or holds no key.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(secrets.token_hex(_KEY_BYTES) + "\n")
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except OSError as error:
        raise ManifestError(
            f"key file {path.name}: must hold {2 * _KEY_BYTES} hexadecimal digits, got: {error.strerror}",
            remedy="give a file as the key that can be read, or written if it is new",
        ) from error
    except ValueError as error:
        raise _no_key(path) from error
    if len(key) < _KEY_BYTES:
        raise _no_key(path)
    return key


def _no_key(path: Path) -> ManifestError:
    return ManifestError(
        f"key file {path.name}: must hold {2 * _KEY_BYTES} hexadecimal digits, got other content",
        remedy="give the file of the key that the dataset was begun with, or a new file for a new dataset",
    )
