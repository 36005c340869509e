"""Pseudonyms: keyed hashes that only the holder of the key file can link to patients."""

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
        key: The secret; the same key gives the same names.
        keep_ids: Whether the source's patient ids and UIDs are pseudonyms already and stay as they are.

    Source: HMAC-SHA256, RFC 2104; 48 bits of it keep 100,000 patients apart with a chance of 2 in 100,000 of a clash,
    which ingest refuses.
    """

    key: bytes = field(repr=False)
    keep_ids: bool = False

    @property
    def fingerprint(self) -> str:
        """By which two runs know that they share a key."""
        return self._digest("key", "fingerprint")[:16]

    def patient(self, patient: str, *, is_id: bool = True) -> str:
        """The patient's id in the dataset; names that stand in for a missing id are never kept."""
        return safe_id(patient) if self.keep_ids and is_id else "p" + self._digest("patient", patient)[:12]

    def series(self, series: str) -> str:
        """A short name of a volume, to tell a patient's cases apart."""
        return self._digest("series", series)[:6]

    def uid(self, uid: str) -> str | None:
        """A UID of the form 2.25.n (PS3.5 B.2); the source's own with `keep_ids`; None where there is none."""
        if not uid:
            return None
        return uid if self.keep_ids else f"2.25.{int(self._digest('uid', uid)[:32], 16)}"

    def site(self, institution: str) -> str | None:
        """Names a site without saying which; None where it is not given."""
        return "site_" + self._digest("site", institution.casefold())[:6] if institution else None

    def shifted_date(self, patient: str, date: str) -> str | None:
        """A date `YYYYMMDD` moved by 1 to 365 days into the past, all of a patient's by the same number."""
        days = 1 + int(self._digest("shift", patient)[:8], 16) % _MAX_SHIFT_DAYS
        try:
            return (datetime.strptime(date, "%Y%m%d") - timedelta(days=days)).strftime("%Y%m%d")
        except (ValueError, OverflowError):
            return None

    def seal(self, text: str) -> str:
        """A keyed checksum of what may not be stored itself, such as source paths."""
        return self._digest("seal", text)

    def _digest(self, kind: str, text: str) -> str:
        return hmac.new(self.key, f"{kind}\0{text}".encode("utf-8", "surrogateescape"), sha256).hexdigest()


def safe_id(text: str) -> str:
    """An id that can stand in a file name."""
    return _NOT_IN_IDS.sub("_", text).strip("._-") or "unnamed"


def load_key(path: Path) -> bytes:
    """The key, made where there is none; readable by its owner only.

    Raises:
        ManifestError: If the file cannot be made or holds no key.
    """
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(secrets.token_hex(_KEY_BYTES) + "\n")
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as error:
        raise ManifestError(
            f"key file {path.name}: must hold {2 * _KEY_BYTES} hexadecimal digits", remedy="check --key"
        ) from error
    if len(key) < _KEY_BYTES:
        raise ManifestError(f"key file {path.name}: must hold {2 * _KEY_BYTES} hexadecimal digits, got fewer")
    return key
