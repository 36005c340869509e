"""Series from files: volumes grouped by series and geometry, with time points and echoes separated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medseg.geometry import significant
from medseg.scans.dicom.frame import Frame, Marks
from medseg.scans.dicom.instance import Instance
from medseg.scans.dicom.planes import SAME_DIRECTION, SAME_POSITION_MM, Planes, Problem, find_problems, stack_planes

MIN_SLICES = 3
# Radiographs, ultrasound and photographs: every frame is a picture of its own.
PICTURE_MODALITIES = frozenset({"CR", "DX", "MG", "US", "RF", "XA", "XC", "IO", "PX", "OP", "ES", "GM", "DG", "IVUS"})
LABEL_CLASSES = ("Segmentation Storage", "Label Map Segmentation Storage", "RT Structure Set Storage")


@dataclass(frozen=True, slots=True, eq=False)
class FoundSeries:
    """One volume or picture of a series, or files of a series that make neither.

    Attributes:
        instances: Files, by position.
        frames: Image planes, by position; empty if there is no order.
        planes: Ordered planes; None for pictures, and if there is no order.
        problems: Reasons why it is not a volume as it stands; empty if it is.
        notes: Doubts about a volume that can be read.
        part: Number among the volumes of the series, from 0.
        told_apart_by: Marks that separate it from the other volumes of the series.
    """

    instances: tuple[Instance, ...]
    frames: tuple[Frame, ...]
    planes: Planes | None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    part: int = 0
    told_apart_by: tuple[str, ...] = ()

    @property
    def first(self) -> Instance:
        """The first file, whose header represents all."""
        return self.instances[0]

    @property
    def is_picture(self) -> bool:
        """Whether it is a radiograph, an ultrasound image or a photograph."""
        return self.first.modality in PICTURE_MODALITIES


@dataclass(frozen=True, slots=True)
class SeriesRules:
    """Rules for volumes.

    Attributes:
        min_slices: Least number of slices of a volume.
        separate_orientations: Whether orientations of one series become volumes of their own instead of being refused.
    """

    min_slices: int = MIN_SLICES
    separate_orientations: bool = False


def find_series(instances: Iterable[Instance], rules: SeriesRules) -> list[FoundSeries]:
    """Sort image files into volumes; label objects are left out.

    Args:
        instances: Files in any order; copies of one file count once.
        rules: Rules for volumes.

    Returns:
        Volumes, pictures and refused files, in the order of their UIDs. No file is left out silently.
    """
    groups: dict[tuple[object, ...], list[Instance]] = defaultdict(list)
    for instance in sorted(instances, key=lambda one: (one.series_uid, one.sop_uid, one.path)):
        if instance.sop_class not in LABEL_CLASSES:
            groups[_series_key(instance)].append(instance)
    found = []
    for group in groups.values():
        unique, copies = _without_copies(group)
        note = (f"{copies} file(s) are copies of others of the series and were left out",) if copies else ()
        found += [replace(part, notes=(*note, *part.notes)) for part in _volumes(unique, rules)]
    return found


def _series_key(instance: Instance) -> tuple[object, ...]:
    """Key of the series; files that are set aside, such as localizers, get another than the scan of their series."""
    series = instance.series_uid or (instance.study_uid, instance.frame_of_reference_uid, str(instance.path.parent))
    aside = _set_aside(instance)
    return series, instance.modality, aside and aside.message


def _by_size(group: Sequence[Instance]) -> list[list[Instance]]:
    """Instances of one matrix and kind of pixel."""
    sizes: dict[tuple[object, ...], list[Instance]] = defaultdict(list)
    for instance in group:
        pixel = (instance.samples, instance.photometric, *instance.pixel_format)
        sizes[instance.rows, instance.columns, *pixel].append(instance)
    return list(sizes.values())


def _without_copies(group: Sequence[Instance]) -> tuple[list[Instance], int]:
    """The instances with each UID once at a place; files without a UID are all kept."""
    seen: set[tuple[object, ...]] = set()
    unique = []
    for instance in group:
        key = (instance.sop_uid, *(frame.position_mm for frame in instance.frames))
        if instance.sop_uid and key in seen:
            continue
        seen.add(key)
        unique.append(instance)
    return unique, len(group) - len(unique)


def _volumes(group: list[Instance], rules: SeriesRules) -> list[FoundSeries]:
    aside = _set_aside(group[0])
    if aside is not None:
        return [FoundSeries(tuple(group), (), None, (aside,))]
    if group[0].modality in PICTURE_MODALITIES:
        return [_picture(instance, part) for part, instance in enumerate(group)]
    mixed = _mixed_sources(group)
    if mixed is not None:
        return [FoundSeries(tuple(group), (), None, (mixed,))]
    clusters = _by_orientation([frame for instance in group for frame in instance.frames])
    if len(clusters) > 1 and not rules.separate_orientations:
        return [FoundSeries(tuple(group), (), None, (_mixed(clusters),))]
    sized = _by_size(group)
    parts = [part for one in sized for part in _stacks(one, rules)]
    return [replace(part, part=number) for number, part in enumerate(parts)]


def _mixed_sources(group: Sequence[Instance]) -> Problem | None:
    """Problem if several patients or frames of reference share a series UID."""
    patients = {(one.identity.patient_id, one.identity.name, one.identity.birth_date) for one in group}
    frames = {one.frame_of_reference_uid for one in group}
    if len(frames) == len(group):
        frames = set()  # one per file: an anonymiser made them, and they mean nothing
    for what, count in (("patient", len(patients)), ("frame of reference", len(frames))):
        if count > 1:
            return Problem(
                "mixed_sources",
                f"slices of a series must belong to one {what}, got {count} under one series UID",
                "export the original series; the UIDs were changed",
            )
    return None


def _stacks(group: list[Instance], rules: SeriesRules) -> list[FoundSeries]:
    """The volumes among instances of one size."""
    owner = {(frame.path, frame.index): instance for instance in group for frame in instance.frames}
    clusters = _by_orientation([frame for instance in group for frame in instance.frames])
    parts = [part for cluster in clusters for even in _by_spacing(cluster) for part in _separate(even)]
    found = []
    for frames, marks in parts:
        planes = stack_planes(frames)
        ordered = frames if isinstance(planes, Problem) else planes.frames
        members = tuple(dict.fromkeys(owner[frame.path, frame.index] for frame in ordered))
        if isinstance(planes, Problem):
            found.append(FoundSeries(members, (), None, (planes,), told_apart_by=marks))
            continue
        problems = find_problems(planes, min_slices=rules.min_slices)
        notes = _notes(members, planes, parts=len(parts))
        found.append(FoundSeries(members, planes.frames, planes, problems, notes, told_apart_by=marks))
    return found


def _set_aside(instance: Instance) -> Problem | None:
    """Reason to set a file aside: localizers, screen copies and objects without pixels are not segmented."""
    if not instance.has_pixels:
        kind = instance.sop_class or "an object without pixels"
        return Problem("set_aside", f"only images are ingested, got {kind}", "nothing to do")
    if "LOCALIZER" in instance.image_type:
        return Problem("set_aside", "it is a localizer", "nothing to do; localizers only plan the scan")
    is_copy = instance.sop_class.startswith(("Secondary Capture", "Multi-frame"))
    if is_copy and instance.modality not in PICTURE_MODALITIES and not any(f.position_mm for f in instance.frames):
        return Problem("set_aside", "it is a screen copy without a place in the patient", "export the original images")
    if instance.sop_class.startswith(("RT Dose", "RT Image")):
        return Problem("set_aside", "it is a dose or a portal image", "nothing to do; these are not ingested")
    return None


def _picture(instance: Instance, part: int) -> FoundSeries:
    if len(instance.frames) != 1:
        problem = Problem(
            "no_position",
            f"a picture must have one frame, got a loop of {len(instance.frames)}",
            "export the frames that are to be used as single images",
        )
        return FoundSeries((instance,), (), None, (problem,), (), part)
    return FoundSeries((instance,), instance.frames, None, (), (), part)


def _by_orientation(frames: list[Frame]) -> list[list[Frame]]:
    """Clusters of frames with equal direction cosines; those without any form their own."""
    clusters: list[list[Frame]] = []
    leaders: list[np.ndarray | None] = []
    for frame in frames:
        cosines = None if frame.orientation is None else np.array(frame.orientation)
        for cluster, leader in zip(clusters, leaders, strict=True):
            if (cosines is None and leader is None) or (
                cosines is not None and leader is not None and np.abs(cosines - leader).max() <= 10 * SAME_DIRECTION
            ):
                cluster.append(frame)
                break
        else:
            clusters.append([frame])
            leaders.append(cosines)
    return clusters


def _by_spacing(frames: list[Frame]) -> list[list[Frame]]:
    """Groups of frames with equal pixel spacing, which may differ within a file."""
    groups: dict[tuple[float, ...], list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[tuple(significant(mm, 4) for mm in frame.spacing_mm or ())].append(frame)
    return list(groups.values())


def _mixed(clusters: Sequence[Sequence[Frame]]) -> Problem:
    sizes = ", ".join(str(len(cluster)) for cluster in clusters[:6])
    return Problem(
        "mixed_orientation",
        f"slices of a series must have one orientation, got {len(clusters)} (of {sizes} slices)",
        "ingest with the repair orientations to take each as a volume of its own",
    )


def _separate(frames: list[Frame]) -> list[tuple[list[Frame], tuple[str, ...]]]:
    """Split frames until each position occurs once: by marks that separate all, then by those that help."""
    if any(frame.position_mm is None for frame in frames):
        return [(frames, ())]
    parts: list[tuple[list[Frame], tuple[str, ...]]] = [(frames, ())]
    rules: tuple[Callable[[list[Frame], list[list[Frame]]], bool], ...] = (_is_complete, _is_unique)
    for accepts in rules:
        for mark in Marks._fields:
            parts = [piece for part in parts for piece in _split(part, mark, accepts)]
    return parts


def _split(
    part: tuple[list[Frame], tuple[str, ...]], mark: str, accepts: Callable[[list[Frame], list[list[Frame]]], bool]
) -> list[tuple[list[Frame], tuple[str, ...]]]:
    frames, marks = part
    if _distinct(frames) == len(frames):
        return [part]
    groups: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        groups[getattr(frame.marks, mark)].append(frame)
    pieces = [groups[value] for value in sorted(groups, key=_by_value)]
    if len(pieces) < 2 or not accepts(frames, pieces):
        return [part]
    return [(piece, (*marks, mark)) for piece in pieces]


def _is_complete(frames: list[Frame], pieces: list[list[Frame]]) -> bool:
    """Whether each piece covers all positions of the whole, as time points, echoes and b-values do."""
    positions = _distinct(frames)
    return positions > 1 and all(_distinct(piece) == positions for piece in pieces)


def _is_unique(frames: list[Frame], pieces: list[list[Frame]]) -> bool:
    """Whether no piece repeats a position and pieces are few, as acquisitions that overlap in part."""
    few = len(pieces) <= 2 * -(-len(frames) // max(_distinct(frames), 1))
    return few and all(len(piece) > 1 and _distinct(piece) == len(piece) for piece in pieces)


def _distinct(frames: Sequence[Frame]) -> int:
    """Number of different positions of frames along their main direction."""
    positions = np.array([frame.position_mm for frame in frames], dtype=np.float64)
    orientation = frames[0].orientation
    normal = np.cross(orientation[:3], orientation[3:]) if orientation else np.array([0.0, 0.0, 1.0])
    depths = np.sort(positions @ normal)
    return 1 + int(np.count_nonzero(np.diff(depths) > SAME_POSITION_MM))


def _by_value(value: str) -> tuple[float, str]:
    try:
        return float(value), value
    except ValueError:
        return 0.0, value


def _notes(members: Sequence[Instance], planes: Planes, *, parts: int) -> tuple[str, ...]:
    """Doubts about a volume that can be read."""
    notes = []
    if members[0].modality == "CT" and len({(frame.slope, frame.intercept) for frame in planes.frames}) > 1:
        notes.append("the rescale slope or intercept differs between its slices, which is rare for CT; look at it")
    promised = members[0].images_in_acquisition
    if parts == 1 and promised > len(planes.frames) and members[0].modality == "CT":
        notes.append(
            f"the header promises {promised} images of this acquisition, got {len(planes.frames)}; the ends of the "
            "scan may be missing"
        )
    return tuple(notes)
