"""`certificate.json`: what was delivered of a case, out of what, and what independent libraries read of it."""

from __future__ import annotations

import json
from pathlib import Path

from medseg.atomic import write_json
from medseg.configuration import Config, parse_config
from medseg.delivery.certificate.check_file import CheckedReader
from medseg.delivery.certificate.contents import CheckedContents
from medseg.delivery.certificate.sides import SideCheck
from medseg.errors import ConfigError, DeliveryError
from medseg.inference.model_identity import ModelOrigin

CERTIFICATE_NAME = "certificate.json"


class CertifiedInputs(Config):
    """What a case was delivered from.

    Attributes:
        source_sha256: SHA-256 of the scan as the prediction recorded it; None where it recorded none.
        mask_sha256: SHA-256 of the mask's file as it was delivered.
        is_edited: Whether a person has changed the mask since it was drawn.
        grid: Grid of the scan in words: voxels, spacing in millimetres and directions of the axes.
        prediction_sha256: SHA-256 of what the prediction recorded of labels, models and doubts.
    """

    source_sha256: str | None
    mask_sha256: str
    is_edited: bool
    grid: str
    prediction_sha256: str


class CertifiedFile(Config):
    """One delivered file.

    Attributes:
        name: Name below the folder of the case.
        form: Form that was asked for, such as `nifti` or `seg`.
        sha256: SHA-256 of the file.
        holds_identity: Whether it holds the patient's name and id out of the scan, as archives need them.
        readers: What libraries read of its voxels; empty for files that hold none, such as tables.
        contents: What libraries read of its words and numbers, such as names, measurements, patient and study.
    """

    name: str
    form: str
    sha256: str
    holds_identity: bool = False
    readers: tuple[CheckedReader, ...] = ()
    contents: tuple[CheckedContents, ...] = ()

    @property
    def reason(self) -> str:
        """First reason why the file fails, in words; "" if it passes."""
        voxels = [f"{one.library}: {one.reason}" for one in self.readers if not one.is_passed]
        words = [f"{one.library}: {one.reason}" for one in self.contents if not one.is_passed]
        return next(iter(voxels + words), "")


class Certificate(Config):
    """The certificate of a case.

    Attributes:
        case_id: Id of the case.
        is_passed: Whether every file holds the mask where the scan says that it lies, and says what was measured of it.
        reasons: Reasons why files fail, in words.
        software: Name and version of the software that delivered the case, and what it is not.
        date: Time of the delivery in UTC, as ISO 8601 writes it.
        forms: Forms that were asked for.
        inputs: What the case was delivered from.
        models: Models that drew the mask.
        files: Delivered files.
        sides: Structures in pairs, one on each side of the body.
        uncoded: Names of structures without a code of a terminology.
    """

    case_id: str
    is_passed: bool
    reasons: tuple[str, ...]
    software: str
    date: str
    forms: tuple[str, ...]
    inputs: CertifiedInputs
    models: tuple[ModelOrigin, ...]
    files: tuple[CertifiedFile, ...]
    sides: tuple[SideCheck, ...] = ()
    uncoded: tuple[str, ...] = ()

    def with_file(self, file: CertifiedFile) -> Certificate:
        """The certificate of the case with one file more."""
        reasons = (*self.reasons, *([f"{file.name}: {file.reason}"] if file.reason else []))
        return self.model_copy(
            update={"files": (*self.files, file), "reasons": reasons, "is_passed": not reasons},
        )

    @property
    def is_whole(self) -> bool:
        """Whether every file was read back; not so in certificates of versions that left out files without voxels."""
        return all(file.readers or file.contents for file in self.files)

    @property
    def doubts(self) -> tuple[str, ...]:
        """What a person should look at although every file is right."""
        swapped = [one for one in self.sides if one.is_left_of_right is False]
        return tuple(f"{one.left} lies to the right of {one.right}" for one in swapped)


def save_certificate(certificate: Certificate, folder: Path) -> None:
    """Write `certificate.json`."""
    write_json(folder / CERTIFICATE_NAME, certificate.model_dump(mode="json"))


def load_certificate(folder: Path) -> Certificate | None:
    """Read `certificate.json`; None if there is none.

    Raises:
        DeliveryError: If the file is damaged.
    """
    path = folder / CERTIFICATE_NAME
    if not path.is_file():
        return None
    try:
        return parse_config(Certificate, json.loads(path.read_text(encoding="utf-8")), source=path.name)
    except (OSError, ValueError, ConfigError) as error:
        raise DeliveryError(
            f"{folder.name}: {CERTIFICATE_NAME} must be as deliver wrote it, got: {error}",
            remedy="remove the folder of the case and deliver again",
        ) from error
