"""The certificate of a case: what independent libraries read from every delivered file."""

from __future__ import annotations

from medseg.delivery.certificate.certificate import (
    CERTIFICATE_NAME,
    Certificate,
    CertifiedFile,
    CertifiedInputs,
    load_certificate,
    save_certificate,
)
from medseg.delivery.certificate.check_file import CheckedReader, check_reader
from medseg.delivery.certificate.expected import ExpectedMask, ExpectedStructure
from medseg.delivery.certificate.sides import SideCheck, check_sides

__all__ = [
    "CERTIFICATE_NAME",
    "Certificate",
    "CertifiedFile",
    "CertifiedInputs",
    "CheckedReader",
    "ExpectedMask",
    "ExpectedStructure",
    "SideCheck",
    "check_reader",
    "check_sides",
    "load_certificate",
    "save_certificate",
]
