"""The settings of a training that updates a finished run: everything but the new cases is that run's."""

from __future__ import annotations

from dataclasses import replace

from medseg.errors import CheckpointError, ConfigError
from medseg.runs.run_folder import RunFolder
from medseg.runs.settings import ALL_FOLDS, TrainingSettings

_KEPT = ("preprocess", "network")
_DEFAULT_FOLD = "0"  # which nobody need have asked for


def settings_of_update(settings: TrainingSettings, *, stage: str) -> TrainingSettings:
    """The settings with weights, plan and fold of the run that is updated; as they are without one.

    Args:
        settings: Choices of a new training.
        stage: Command of the training.

    Raises:
        ConfigError: If a setting contradicts the run that is updated, or the training is not of masks.
        CheckpointError: If that run cannot be read.
    """
    if settings.update is None:
        return settings
    _check_settings(settings, stage)
    folder = RunFolder(settings.update)
    if folder.folds.is_file():
        raise CheckpointError(
            f"update: {settings.update} must be the folder of one run, got that of all folds",
            remedy=f"update fold by fold, such as {settings.update / 'fold_0'}",
        )
    if not (folder.record.is_file() and folder.plan.is_file()):
        raise CheckpointError(
            f"update: {settings.update} must be the folder of a run of medseg train, with {folder.record.name} and "
            f"{folder.plan.name}",
            remedy="give such a folder, or take init instead of update for a model without them",
        )
    record = folder.load_record()
    if settings.fold not in {_DEFAULT_FOLD, record.fold}:
        raise ConfigError(
            f"update: fold must be that of the run, {record.fold}, got {settings.fold}", remedy="leave the fold out"
        )
    return replace(settings, initial=settings.update, plan=folder.plan, fold=record.fold)


def check_resumed_update(settings: TrainingSettings, folder: RunFolder) -> None:
    """Hold a resume that names a run to update to a training that began so.

    Raises:
        ConfigError: If it did not.
    """
    if settings.update is not None and not folder.update.is_file():
        raise ConfigError(
            f"resume: update must be as the run began (without), got {settings.update}", remedy="leave update out"
        )


def _check_settings(settings: TrainingSettings, stage: str) -> None:
    if stage != "train":
        raise ConfigError(f"update: is for masks, got {stage}", remedy="leave update out")
    given = [name for name in ("initial", "plan") if getattr(settings, name) is not None]
    if given:
        names = " and ".join({"initial": "init"}.get(name, name) for name in given)
        raise ConfigError(f"update: excludes {names}, which it takes from the run", remedy=f"leave {names} out")
    if settings.fold == ALL_FOLDS:
        raise ConfigError(f"update: a run has one fold, got {ALL_FOLDS}", remedy="update the run of each fold alone")
    changed = [name for name in _KEPT if name in settings.changes]
    if changed:
        raise ConfigError(
            f"{settings.changes_name}: an update keeps the run's {' and '.join(_KEPT)}, so that masks stay comparable, "
            f"got changes of {' and '.join(changed)}",
            remedy="leave them out, or take init instead of update",
        )
