"""Assignment of every case of a manifest to a fold or the test set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.manifest.collector import collector_paused
from medseg.manifest.version import next_version
from medseg.records import Manifest
from medseg.split.balance import Balance, measure_balance
from medseg.split.case_table import CaseTable
from medseg.split.config import SplitConfig
from medseg.split.ledger import UNDECIDED
from medseg.split.refuse import check_enough_patients, check_splittable
from medseg.split.strata import Strata, make_strata
from medseg.split.stratify import stratify

_TEST = 1  # beside 0, training
Flags = npt.NDArray[np.bool_]


class SplitResult(NamedTuple):
    """A split manifest.

    Attributes:
        manifest: Next version of the manifest, with a fold for every training case.
        balance: Balance of the parts.
        warnings: Sentences for the user, on labels that a fold lacks or a test set that could not be drawn.
    """

    manifest: Manifest
    balance: Balance
    warnings: tuple[str, ...]


def split_manifest(manifest: Manifest, config: SplitConfig, *, kept: Mapping[str, int] | None = None) -> SplitResult:
    """Draw a test set if requested, and assign the other cases to folds; all cases of a patient stay together.

    Cases that the manifest holds out stay in the test set. If `label_ml` is missing, run `measure_labels` first;
    otherwise a case is assigned by its site, scanner and modality alone.

    Args:
        manifest: Checked manifest, as from `load_manifest`; the order of its cases does not matter.
        config: Folds, test share, seed and features.
        kept: Fold of each patient that stays where it is; folds of the manifest are replaced otherwise, if that is
            asked for.

    Raises:
        ManifestError: If the split would leak, would replace folds, or there are fewer patients than folds.
    """
    with collector_paused():
        check_splittable(manifest, config, kept=kept)
        table = CaseTable.of(manifest)
        strata = make_strata(table, config.by, parts=config.folds)
        held_out, notes = _hold_out(table, strata, config)
        fold_of = _assign_folds(table, strata, held_out, config, kept or {})
        split = _with_folds(manifest, fold_of)
        part_of = {case.case_id: "test" if case.fold is None else f"fold {case.fold}" for case in split.cases}
        notes += _lacking_labels(table, part_of, config.folds)
        return SplitResult(split, measure_balance(table, part_of), tuple(notes))


def _hold_out(table: CaseTable, strata: Strata, config: SplitConfig) -> tuple[Flags, list[str]]:
    """Whether each patient is in the test set, `(P,)`: those that were, and as many more as its share needs.

    Patients that are held out without any label cannot be measured; they stay in the test set but do not count.
    """
    held_out = table.patient_flags([case.split == "test" for case in table.cases])
    if config.test == 0:
        return held_out, []
    measurable = table.patient_flags(
        [case.has_reference or case.slice_labels is not None or bool(case.quantities) for case in table.cases]
    )
    pool = np.flatnonzero(measurable | ~held_out)
    counts, given = strata.counts[pool], np.where(held_out[pool], _TEST, UNDECIDED)
    share = counts[given == _TEST, -1].sum() / max(counts[:, -1].sum(), 1)
    if share >= config.test:
        return held_out, [f"the test set holds {share:.0%} of the cases already; none was added"]
    ratios = np.array([1 - config.test, config.test])
    parts = stratify(counts, ratios=ratios, seed=config.seed, given=given, covered=strata.covered)
    drawn = held_out.copy()
    drawn[pool[parts == _TEST]] = True
    notes = [] if drawn.any() else ["the test set got no case: its share is less than the smallest patient"]
    return drawn, notes


def _assign_folds(
    table: CaseTable, strata: Strata, held_out: Flags, config: SplitConfig, kept: Mapping[str, int]
) -> dict[str, int]:
    """Fold of each training patient."""
    pool = np.flatnonzero(~held_out)
    check_enough_patients(len(pool), config)
    ratios = np.full(config.folds, 1 / config.folds)
    given = np.array([kept.get(table.patients[patient], UNDECIDED) for patient in pool])
    folds = stratify(strata.counts[pool], ratios=ratios, seed=config.seed, given=given, covered=strata.covered)
    return {table.patients[patient]: int(fold) for patient, fold in zip(pool, folds, strict=True)}


def _with_folds(manifest: Manifest, fold_of: dict[str, int]) -> Manifest:
    """The next version of the manifest, training cases first, otherwise in the same order."""
    training, test = [], []
    for case in manifest.cases:
        fold = fold_of.get(case.patient_id)
        if fold is None:
            test.append(case.model_copy(update={"fold": None, "split": "test"}))
        else:
            training.append(case.model_copy(update={"fold": fold, "split": "training"}))
    return manifest.model_copy(update={"cases": (*training, *test), "version": next_version(manifest.version)})


def _lacking_labels(table: CaseTable, part_of: dict[str, str], folds: int) -> list[str]:
    """A sentence for each label that is not in every fold."""
    parts = np.array([part_of[case.case_id] for case in table.cases])
    sentences = []
    for index, name in enumerate(table.labels):
        has = table.present[:, index] & (parts != "test")
        lacking = [str(fold) for fold in range(folds) if not (has & (parts == f"fold {fold}")).any()]
        if lacking and table.is_known.any():
            patients = table.patients_with(has)
            sentences.append(
                f"label {name}: {patients} patient(s) for {folds} folds; no case of it in fold {', '.join(lacking)}"
            )
    return sentences
