"""The modality of each image, and the choice of one, since the values of several mean different things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medseg.ingest.case_build import CaseBuild
from medseg.ingest.image_source import ImageSource
from medseg.ingest.refusal import Refusal
from medseg.ingest.structure_name import normalised

# Words of file names, by the modality of DICOM (0008,0060) that they mean.
_WORDS = {
    "CT": ("ct", "cbct"),
    "MR": ("mr", "mri", "mrt", "t1", "t2", "t1w", "t2w", "flair", "adc", "dwi", "t1c", "t1ce", "t1gd", "t1n", "t2f"),
    "PT": ("pet", "suv"),
    "US": ("ultrasound", "sonography"),
}
_MODALITY_OF = {word: modality for modality, words in _WORDS.items() for word in words}
OTHER_MODALITY = Refusal("other_modality", "it is not of the modality that was asked for", "ingest it apart")
_OTHER_NAMES = {"MRI": "MR", "MRT": "MR", "PET": "PT", "CBCT": "CT"}


def known_modality(image: ImageSource) -> str:
    """The modality of an image by its header, else by the words of its file name; "" if neither gives one.

    Pictures have none: a word such as `ct` in the name of a photograph says nothing of its pixels.
    """
    if image.modality or image.is_picture:
        return image.modality
    return modality_named(image.description)


def modality_named(text: str) -> str:
    """The modality that the words of a name mean; "" if they mean none, or several."""
    found = {_MODALITY_OF[word] for word in normalised(text).split("_") if word in _MODALITY_OF}
    return found.pop() if len(found) == 1 else ""


def is_of_modality(image: ImageSource, wanted: str | None) -> bool:
    """Whether an image is of the modality that is asked for; every image is if none is."""
    return wanted is None or known_modality(image) == _OTHER_NAMES.get(wanted.upper(), wanted.upper())


def only_modality(builds: Sequence[CaseBuild], wanted: str | None) -> list[CaseBuild]:
    """The cases, those with an image of another modality than the asked one set aside."""
    return [build if all(is_of_modality(one, wanted) for one in build.images) else _aside(build) for build in builds]


def _aside(build: CaseBuild) -> CaseBuild:
    return build if build.is_aside else replace(build, refusal=OTHER_MODALITY)
