"""What every DICOM object that is made out of a series shares: patient, study, equipment and UIDs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from medseg.geometry import Geometry
from medseg.records import Array
from medseg.scans.dicom.damage import reading_dicom
from medseg.scans.dicom.seg_segments import shortened
from medseg.scans.dicom.source_images import SourceImages
from medseg.scans.segment import Algorithm

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.uid import UID

_STUDY = (
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip
_NEEDED = (
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName",
)  # fmt: skip
_PATIENT_GROUPS = (0x0010, 0x0012)


def add_patient(dataset: Dataset, sources: SourceImages) -> None:
    """Copy the attributes of patient and study from the source; those that must be there but are not stay empty.

    Source: PS3.3 C.7.1.1 to C.7.2.2; group 0012 tells of trials and of removed identity.
    """
    from pydicom.tag import Tag

    studied = {int(Tag(keyword)) for keyword in _STUDY}
    with reading_dicom("source image"):
        for element in sources.header:
            is_patients = element.tag.group in _PATIENT_GROUPS and not element.tag.is_private
            if is_patients or int(element.tag) in studied:
                dataset[element.tag] = _decoded(element)
    for keyword in _NEEDED:
        if keyword not in dataset:
            setattr(dataset, keyword, "")


def frame_of_reference(sources: SourceImages) -> str:
    """Frame of reference of the scan; one that follows from the series where its files give none."""
    known = sources.origin.frame_of_reference_uid
    return known or str(derived_uid(sources.origin.series_uid, "frame of reference"))


def equipment(algorithm: Algorithm) -> dict[str, Any]:
    """Attributes of the software that makes an object, as highdicom takes them."""
    return {
        "manufacturer": "medseg",
        "manufacturer_model_name": "medseg",
        "software_versions": shortened(algorithm.version),
        "device_serial_number": shortened(algorithm.digest) or "0",
    }


def derived_uid(*sources: str) -> UID:
    """UID that follows from texts: the same texts give the same UID."""
    from pydicom.uid import generate_uid

    return generate_uid(entropy_srcs=list(sources))


def content_digest(pixels: Array, geometry: Geometry, *said: object) -> str:
    """Checksum of everything that a result says.

    Args:
        pixels: Its pixels.
        geometry: Grid that they lie on.
        said: Records of what else it says, such as segments and algorithm.
    """
    digest = hashlib.sha256(repr((said, pixels.shape, pixels.dtype.str)).encode("utf-8", "backslashreplace"))
    digest.update(geometry.affine.tobytes())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _decoded(element: Any) -> Any:
    """The element with names as plain text, free of the character set of its file."""
    from pydicom.dataelem import DataElement

    if element.VR != "PN" or element.VM > 1:
        return element
    return DataElement(element.tag, "PN", str(element.value))
