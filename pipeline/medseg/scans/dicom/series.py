"""Series from files: volumes grouped by series and geometry, with time points and echoes separated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from medseg.scans.dicom.file_copies import count_copies, without_copies, without_renamed_copies
from medseg.scans.dicom.frame import Frame
from medseg.scans.dicom.gaps import GAP_KINDS, false_gap
from medseg.scans.dicom.instance import Instance
from medseg.scans.dicom.one_source import Owners, is_unidentified, split_by_source
from medseg.scans.dicom.planes import SAME_DIRECTION, Planes, Problem, find_problems, stack_planes
from medseg.scans.dicom.separate import Part, separate

MIN_SLICES = 3
# Radiographs, ultrasound and photographs: every frame is a picture of its own.
PICTURE_MODALITIES = frozenset({"CR", "DX", "MG", "US", "RF", "XA", "XC", "IO", "PX", "OP", "ES", "GM", "DG", "IVUS"})
_SAME_SPACING = 1e-3
_FOLDER_NOTE = (
    "its series lies in several folders and names no patient: each folder is a volume of its own, and all count as one "
    "patient where they share the study"
)
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
        left_out: Copies of files of the series, kept with its first volume.
    """

    instances: tuple[Instance, ...]
    frames: tuple[Frame, ...]
    planes: Planes | None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    part: int = 0
    told_apart_by: tuple[str, ...] = ()
    left_out: tuple[Instance, ...] = ()

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
    return [found for group in groups.values() for found in _find_in_group(group, rules)]


def _find_in_group(group: list[Instance], rules: SeriesRules) -> list[FoundSeries]:
    """Volumes, pictures and refused files of a series, and what became of the copies among its files."""
    unique = without_copies(group)
    left_out, notes = unique.left_out, unique.notes
    if _may_be_volume(unique.instances[0]):
        unique = without_renamed_copies(unique.instances)
        left_out, notes = (*left_out, *unique.left_out), (*notes, *unique.notes)
    parts = _volumes(unique.instances, rules)
    return [replace(part, notes=(*notes, *part.notes), left_out=() if part.part else left_out) for part in parts]


def _may_be_volume(instance: Instance) -> bool:
    return _set_aside(instance) is None and instance.modality not in PICTURE_MODALITIES


def _series_key(instance: Instance) -> tuple[object, ...]:
    """Key of the series; files that are set aside, such as localizers, get another than the scan of their series."""
    series = instance.series_uid or (instance.study_uid, instance.frame_of_reference_uid, str(instance.path.parent))
    aside = _set_aside(instance)
    return series, instance.modality, aside and aside.message


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
    parts = [part for one in _by_matrix(group) for part in _stacks(one, rules)]
    return [replace(part, part=number) for number, part in enumerate(_with_true_gaps(parts))]


def _by_matrix(group: Sequence[Instance]) -> list[list[Instance]]:
    """Instances of one matrix and number of channels, however their values are coded."""
    sizes: dict[tuple[int, ...], list[Instance]] = defaultdict(list)
    for instance in group:
        sizes[instance.rows, instance.columns, instance.channels].append(instance)
    return list(sizes.values())


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
    """The volumes among instances of one matrix."""
    owners = {instance.path: instance for instance in group}
    by_folder = is_unidentified(group)
    clusters = _by_orientation([frame for instance in group for frame in instance.frames])
    parts = [
        piece
        for cluster in clusters
        for even in _by_spacing(cluster)
        for part in separate(even, by_folder=by_folder)
        for piece in (_of_one_source(part, owners) if by_folder else [part])
    ]
    return [_found(part, owners, rules, is_only=len(parts) == 1) for part in parts]


def _of_one_source(part: Part, owners: Owners) -> list[Part]:
    """The slices of each source; those of which nothing says how many there are get a problem."""
    pieces = split_by_source(part.frames, owners)
    if isinstance(pieces, Problem):
        return [part._replace(problem=pieces)]
    marks = part.marks if len(pieces) == 1 else (*part.marks, "folder")
    return [Part(piece, marks) for piece in pieces]


def _found(part: Part, owners: Owners, rules: SeriesRules, *, is_only: bool) -> FoundSeries:
    """The volume of slices that belong together, or their problem."""
    planes = part.problem or stack_planes(part.frames)
    ordered = part.frames if isinstance(planes, Problem) else planes.frames
    members = tuple(dict.fromkeys(owners[frame.path] for frame in ordered))
    if isinstance(planes, Problem):
        return FoundSeries(members, (), None, (planes,), told_apart_by=part.marks)
    problems = find_problems(planes, min_slices=rules.min_slices)
    problems = tuple(_with_copies(problem, members) for problem in problems)
    notes = (*_notes(members, planes, is_only=is_only), *((_FOLDER_NOTE,) if "folder" in part.marks else ()))
    return FoundSeries(members, planes.frames, planes, problems, notes, told_apart_by=part.marks)


def _with_copies(problem: Problem, members: Sequence[Instance]) -> Problem:
    """The problem of repeated positions with the number of copies among them, which the pixels tell."""
    if problem.kind != "repeated_positions":
        return problem
    copies = count_copies(members)
    found = (
        f"{copies} of them are copies, the others hold other pixels" if copies else "they are no copies: pixels differ"
    )
    remedy = f"keep the files of one slice at each position, or {problem.remedy}"
    return problem._replace(message=f"{problem.message} ({found})", remedy=remedy)


def _with_true_gaps(parts: Sequence[FoundSeries]) -> list[FoundSeries]:
    """The volumes; a gap that slices of another volume fill is refused as such, and never interpolated."""
    guarded = []
    for part in parts:
        gaps = [problem for problem in part.problems if problem.kind in GAP_KINDS]
        others = [one.planes for one in parts if one is not part and one.planes]
        false = false_gap(part.planes, others) if part.planes and gaps and others else None
        problems = tuple(false if false and problem in gaps else problem for problem in part.problems)
        guarded.append(replace(part, problems=problems))
    return guarded


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
    if instance.sop_class.startswith("RT Dose"):
        return Problem("set_aside", "it is a dose", "name it under quantities in the mapping if it is to be learned")
    if instance.sop_class.startswith("RT Image"):
        return Problem("set_aside", "it is a portal image", "nothing to do; these are not ingested")
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
    groups: dict[tuple[float, ...], list[Frame]] = {}
    for frame in frames:
        spacing = frame.spacing_mm or ()
        groups.setdefault(next((one for one in groups if _is_same_spacing(one, spacing)), spacing), []).append(frame)
    return list(groups.values())


def _is_same_spacing(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether two spacings are equal but for the rounding of their decimals; both may be unknown."""
    pairs = zip(one, other, strict=False)
    return len(one) == len(other) and all(abs(a - b) <= _SAME_SPACING * max(a, b) for a, b in pairs)


def _mixed(clusters: Sequence[Sequence[Frame]]) -> Problem:
    sizes = ", ".join(str(len(cluster)) for cluster in clusters[:6])
    return Problem(
        "mixed_orientation",
        f"slices of a series must have one orientation, got {len(clusters)} (of {sizes} slices)",
        "ingest with the repair orientations to take each as a volume of its own",
    )


def _notes(members: Sequence[Instance], planes: Planes, *, is_only: bool) -> tuple[str, ...]:
    """Doubts about a volume that can be read."""
    notes = []
    if members[0].modality == "CT" and len({(frame.slope, frame.intercept) for frame in planes.frames}) > 1:
        notes.append("the rescale slope or intercept differs between its slices, which is rare for CT; look at it")
    if {"MONOCHROME1", "MONOCHROME2"} <= {one.photometric for one in members}:
        notes.append("some of its slices are shown inverted (MONOCHROME1); their values were taken as they are")
    if len(planes.frames) == 1 and not planes.frames[0].thickness_mm:
        notes.append("the slice thickness is not given: the only slice counts as 1 mm thick")
    promised = members[0].images_in_acquisition
    if is_only and promised > len(planes.frames) and members[0].modality == "CT":
        notes.append(
            f"the header promises {promised} images of this acquisition, got {len(planes.frames)}; the ends of the "
            "scan may be missing"
        )
    return tuple(notes)
