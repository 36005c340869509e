"""What the prepared cases of a training lack, said before it begins."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from medseg.manifest import manifest_target
from medseg.preprocess.segmentation import StoredCase
from medseg.records import Manifest

_log = logging.getLogger(__name__)
_SHOWN = 3


def warn_of_gaps(training: Sequence[StoredCase], validation: Sequence[StoredCase], manifest: Manifest) -> None:
    """Log labels that no training case shows or that a crop cuts, and channels that hold one value everywhere."""
    structures = manifest.regions or {name: (value,) for name, value in manifest.foreground.items()}
    for name, values in structures.items():
        if any(case.voxels.get(value) for case in training for value in values):
            continue
        there = sum(any(case.voxels.get(value) for value in values) for case in validation)
        elsewhere = f", although {there} validation case(s) show it: another fold may suit better" if there else ""
        _log.warning("label %s has no voxel in any training case, so that it cannot be learned%s", name, elsewhere)
    drawn = [case for case in training if not set(structures) <= set(case.unannotated)]
    if manifest_target(manifest).ignore is not None and not any(case.voxels.get(0) for case in drawn):
        _log.warning(
            "no training case has annotated background, so that nothing says where a structure is not: annotate some "
            "background too, such as a scribble beside each structure"
        )
    for name, values in structures.items():
        cut = [case.case_id for case in (*training, *validation) if any(map(case.outside.get, values))]
        if cut:
            _log.warning(
                "label %s has voxels outside of the body's box, which no mask will hold, in case(s) %s: "
                "set preprocess.body to null, or its margin_mm larger",
                name,
                _some(cut),
            )
    for index, name in enumerate(manifest.channels):
        filled = [case.case_id for case in (*training, *validation) if index in case.constant_channels]
        if filled:
            _log.warning("channel %s holds one value everywhere in case(s) %s", name, _some(filled))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
