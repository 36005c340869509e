"""Which series of a study a network takes: by modality and sequence, or by the user's choice."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medseg.errors import ScanError
from medseg.ingest.image_source import ImageSource
from medseg.ingest.modality import modality_named
from medseg.ingest.structure_name import normalised
from medseg.scans.dicom.series import PICTURE_MODALITIES

_MODALITIES = PICTURE_MODALITIES | {"CT", "MR", "PT", "NM"}
_ALIKE = {"DX": "CR"}
# Words for MR sequences; the first group that has a word of the name counts, since a FLAIR is a T2 as well.
_SEQUENCES: tuple[tuple[str, frozenset[str]], ...] = (
    ("FLAIR", frozenset({"flair", "t2f"})),
    ("ADC", frozenset({"adc"})),
    ("DWI", frozenset({"dwi", "trace"})),
    ("T1 with contrast", frozenset({"t1c", "t1ce", "t1gd", "t1wce"})),
    ("T1", frozenset({"t1", "t1w", "t1n", "mprage", "bravo"})),
    ("T2", frozenset({"t2", "t2w"})),
)
_CONTRAST = frozenset({"c", "ce", "gd", "gad", "gado", "km", "contrast", "post"})
_MOST_LISTED = 8
_ENDS_IN_PART = re.compile(r"#\d+$")
_PART_OF_UID = re.compile(r"[0-9.]*\.[0-9.]*|\d{6,}")  # a series has a number of fewer digits
_CHOOSE = (
    "choose one with the option series of medseg predict: its number as it is shown, its UID or words of its "
    "description"
)


def pick_series(
    images: Sequence[ImageSource], channels: Sequence[str], chosen: Sequence[str], *, is_private: bool
) -> tuple[ImageSource, ...]:
    """The series of a study that a network takes.

    Args:
        images: Volumes and pictures of the study, without localizers and the like.
        channels: Names of the channels that the network takes.
        chosen: Series that the user wants; empty if the model decides.
        is_private: Whether descriptions and UIDs are left out of errors.

    Returns:
        One series for each channel, or one that holds all channels.

    Raises:
        ScanError: If no series fits, several do, or the one that does is broken.
    """
    wanted = [image for image in images if any(is_chosen(image, one, images) for one in chosen)]
    whole = [image for image in images if image.channels == len(channels)]
    if len(channels) == 1:
        fitting = wanted if chosen else _fitting(whole, channels[0])
        what = f"choice {', '.join(chosen)}" if chosen else f"channel {channels[0]}"
        return (_only(fitting, images, what, is_private=is_private),)
    if whole:
        return (_only(wanted or whole, images, f"channels {', '.join(channels)}", is_private=is_private),)
    picked = []
    for name in channels:
        fitting = _fitting([image for image in images if image.channels == 1], name)
        narrowed = [image for image in fitting if image in wanted] if len(fitting) > 1 else []
        picked.append(_only(narrowed or fitting, images, f"channel {name}", is_private=is_private))
    if len(set(picked)) < len(picked):
        raise ScanError(
            f"each of the channels {', '.join(channels)} must be a series of its own, got one for several",
            remedy="write a NIfTI file of each channel, numbered from _0000 on, and predict these",
        )
    return tuple(picked)


def is_chosen(image: ImageSource, chosen: str, images: Sequence[ImageSource]) -> bool:
    """Whether a user's choice means a series.

    Args:
        image: A series of the study.
        chosen: Number, UID or its unique beginning or end, or words of the description; `3#2` for the second volume of
            series 3.
        images: All series of the study.
    """
    text, _, part = chosen.rpartition("#") if _ENDS_IN_PART.search(chosen) else (chosen, "", "")
    if part and int(part) != image.known_series().part + 1:
        return False
    text = text.strip()
    if text.isdecimal() and any(number_of(one) == text for one in images):
        return number_of(image) == text
    if is_part_of_uid(text):
        return _is_uid_of(image, text) and len({one.series_uid for one in images if _is_uid_of(one, text)}) == 1
    return bool(text) and text.casefold() in image.description.casefold()


def is_part_of_uid(text: str) -> bool:
    """Whether a text can be a UID or a part of one, and no number of a series."""
    return _PART_OF_UID.fullmatch(text) is not None


def listed(images: Sequence[ImageSource], *, is_private: bool) -> str:
    """Series in words: number, description, modality, shape, spacing and UID.

    Args:
        images: Series.
        is_private: Whether description and UID are left out.
    """
    ordered = sorted(images, key=_order)
    shown = [_in_words(image, is_private=is_private) for image in ordered[:_MOST_LISTED]]
    more = len(images) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def sequence_named(text: str) -> str:
    """The MR sequence that the words of a name mean; "" if they mean none."""
    words = set(normalised(text).split("_"))
    found = next((name for name, known in _SEQUENCES if known & words), "")
    return "T1 with contrast" if found == "T1" and words & _CONTRAST else found


def _fitting(images: Sequence[ImageSource], channel: str) -> list[ImageSource]:
    """The series that may be a channel; all if its name says nothing of modality or sequence."""
    modality = _modality(channel.upper()) if channel.upper() in _MODALITIES else modality_named(channel)
    if not modality:
        return list(images)
    same = [image for image in images if _modality(image.modality) == modality]
    sequence = sequence_named(channel)
    named = [image for image in same if sequence_named(image.description) == sequence]
    if not sequence or named:
        return named if sequence else same
    return [image for image in same if not sequence_named(image.description)]


def _modality(name: str) -> str:
    return _ALIKE.get(name, name)


def _only(fitting: Sequence[ImageSource], images: Sequence[ImageSource], what: str, *, is_private: bool) -> ImageSource:
    """The only series that can be read among those that fit one channel or all."""
    usable = [image for image in fitting if image.refusal is None]
    if len(usable) == 1:
        return usable[0]
    if usable:
        fact = f"one series must fit the {what}, got {len(usable)}"
        raise ScanError(f"{fact}: {listed(usable, is_private=is_private)}", remedy=_CHOOSE)
    if fitting:
        raise _broken(fitting, is_private=is_private)
    fact = f"a series of the study must fit the {what}, got {listed(images, is_private=is_private)}"
    raise ScanError(fact, remedy=f"give another study, or {_CHOOSE}")


def _broken(fitting: Sequence[ImageSource], *, is_private: bool) -> ScanError:
    refusals = [image.refusal for image in fitting if image.refusal is not None]
    facts = "; ".join(dict.fromkeys(one.fact for one in refusals))
    shown = listed(fitting, is_private=is_private)
    return ScanError(
        f"{facts} ({shown})", remedy="; ".join(dict.fromkeys(one.remedy for one in refusals if one.remedy))
    )


def _order(image: ImageSource) -> tuple[int, str, str, int]:
    """Sort key by number, UID and part."""
    number = number_of(image)
    return len(number), number, image.series_uid, image.known_series().part


def _in_words(image: ImageSource, *, is_private: bool) -> str:
    name = f"series {number_of(image) or 'without a number'}"
    series = image.known_series()
    if series.part or series.told_apart_by:
        name += f"#{series.part + 1}"
    if image.description and not is_private:
        name += f" {image.description!r}"
    size = f"{len(image.files)} file(s)"
    if image.grid is not None:
        shape, spacing = image.grid.shape, image.grid.spacing_mm
        size = f"{'×'.join(map(str, shape))}, {'×'.join(f'{mm:.4g}' for mm in spacing)} mm"
    uid = [f"UID {image.series_uid}"] if image.series_uid and not is_private else []
    return ", ".join([name, image.modality or "no modality", size, *uid])


def number_of(image: ImageSource) -> str:
    """(0020,0011) of a series without leading zeros, or ""."""
    number = image.known_series().first.series_number
    return number.lstrip("0") or number


def _is_uid_of(image: ImageSource, text: str) -> bool:
    return image.series_uid.startswith(text) or image.series_uid.endswith(text)
