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
from medseg.delivery.certificate.check_file import CheckedReader, ReadMasks, check_reader, compare_masks
from medseg.delivery.certificate.content_check import ContentCheck
from medseg.delivery.certificate.contents import (
    CheckedContents,
    ComparedValues,
    Expected,
    Hidden,
    Number,
    check_contents,
)
from medseg.delivery.certificate.expected import ExpectedMask, ExpectedStructure
from medseg.delivery.certificate.measured_again import MeasuredAgain, measure_again
from medseg.delivery.certificate.sides import SideCheck, check_sides

__all__ = [
    "CERTIFICATE_NAME",
    "Certificate",
    "CertifiedFile",
    "CertifiedInputs",
    "CheckedContents",
    "CheckedReader",
    "ComparedValues",
    "ContentCheck",
    "Expected",
    "ExpectedMask",
    "ExpectedStructure",
    "Hidden",
    "MeasuredAgain",
    "Number",
    "ReadMasks",
    "SideCheck",
    "check_contents",
    "check_reader",
    "check_sides",
    "compare_masks",
    "load_certificate",
    "measure_again",
    "save_certificate",
]
