"""The beginning of an update: the cases held to the run that is updated."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from medseg.errors import ManifestError
from medseg.inference.segmentation import ModelCard
from medseg.manifest import manifest_target
from medseg.planning import Plan
from medseg.planning.updated import FRESH_SHARE
from medseg.preprocess.segmentation import StoredCase
from medseg.records import Manifest
from medseg.runs.case_digests import load_digests
from medseg.runs.run_folder import RunFolder, RunRecord
from medseg.runs.segmentation.update.changes import KnownCases, State, sorted_changes
from medseg.runs.segmentation.update.record import UpdateRecord, load_update
from medseg.runs.settings import TrainingSettings
from medseg.runs.training_cases import TrainingCases
from medseg.targets import LabelMap, Regions
from medseg.training.segmentation.replay import Replay


def check_update(cases: TrainingCases, card: ModelCard, record: RunRecord) -> None:
    """Hold the dataset of an update to what the run learned and to whom it was measured on, before any work.

    Args:
        cases: Cases of the run's fold in the dataset.
        card: Card of the updated model.
        record: What the updated run was started with.

    Raises:
        ManifestError: If labels or channels are others, or validation cases of the run would be trained on.
    """
    manifest = cases.manifest
    for what, wanted, got in (
        ("labels", _names(card.target), _names(manifest_target(manifest))),
        ("channels", list(card.channels), list(manifest.channels)),
    ):
        if wanted != got:
            raise ManifestError(
                f"manifest {manifest.name}: {what} must be those of the updated run, {', '.join(wanted)}, got "
                f"{', '.join(got)}",
                remedy="take init instead of update, which takes weights by the names of labels and channels",
            )
    _check_unseen({case.case_id for case in cases.training} & set(record.validation), manifest, record)


def begin_update(
    cases: TrainingCases,
    plan: Plan,
    settings: TrainingSettings,
    *,
    training: Sequence[StoredCase],
    validation: Sequence[StoredCase],
) -> UpdateRecord | None:
    """What an update begins with, from its folder where it is resumed; None for another training.

    Args:
        cases: Cases of the fold.
        plan: Plan of the training.
        settings: Choices of the training.
        training: Prepared training cases.
        validation: Prepared validation cases.

    Raises:
        ManifestError: If there is nothing new to learn, or a validation case of the run is trained on under another id.
        CheckpointError: If a record is damaged.
    """
    if settings.resume:
        return load_update(RunFolder(settings.out).update)
    if settings.update is None:
        return None
    earlier = RunFolder(settings.update)
    run = earlier.load_record()
    known = KnownCases(run, load_digests(earlier.cases))
    states: dict[str, State] = {}
    ids: dict[str, str | None] = {}
    for case in (*training, *validation):
        states[case.case_id], ids[case.case_id] = known.state_of(case, cases.manifest)
    trained = {case.case_id for case in training}
    _check_unseen({one for one in trained if known.is_of_validation(ids[one])}, cases.manifest, run)
    changes = sorted_changes({one: state for one, state in states.items() if one in trained})
    if not changes.fresh:
        raise ManifestError(
            f"manifest {cases.manifest.name}: must hold training cases that are new to the updated run, or have a "
            f"corrected label, got none among {len(trained)}",
            remedy="give the version of the dataset that holds them",
        )
    wanted = FRESH_SHARE if plan.training.fresh_share is None else plan.training.fresh_share
    kept = {case.case_id for case in (*cases.training, *cases.validation)}  # one that failed now is not gone
    return UpdateRecord(
        has_digests=known.has_digests,
        training=changes,
        validation=sorted_changes({one: state for one, state in states.items() if one not in trained}),
        gone=tuple(one for one in known.gone(list(ids.values())) if one not in kept),
        fresh_share=Replay.of(changes.fresh, old=len(changes.old), wanted=wanted).share,
    )


def _check_unseen(leaked: Collection[str], manifest: Manifest, record: RunRecord) -> None:
    """Refuse validation cases of the updated run among the training cases: nothing would measure its forgetting.

    Raises:
        ManifestError: If there are some.
    """
    if not leaked:
        return
    first = sorted(leaked)
    raise ManifestError(
        f"manifest {manifest.name}: validation cases of the updated run must not be trained on, got {len(first)}: "
        f"{', '.join(first[:3])}{', …' if len(first) > 3 else ''}",
        remedy=f"give them and their patients fold {record.fold}, as they had for the run, or take init instead of "
        "update",
    )


def _names(target: LabelMap) -> list[str]:
    """Names of the labels or regions in the order of the network's channels."""
    if isinstance(target, Regions):
        return list(target.structures)
    return [name for name, _ in sorted(target.labels.items(), key=lambda item: item[1])]
