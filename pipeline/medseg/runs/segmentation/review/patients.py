"""The patient of a case that is new in a data set: told by a person, or known to the table of pseudonyms."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from medseg.errors import ManifestError

_COLUMNS = ("case_id", "patient_id")


def patients_of_new_cases(table: Path | None, pseudonyms: Path | None) -> dict[str, str]:
    """Patient of each case, by its id.

    Args:
        table: CSV with the columns `case_id` and `patient_id`; none if not given.
        pseudonyms: Private table of a prediction, whose patients get the pseudonyms that begin their cases' ids; none
            if not given. What `table` says goes before it.

    Raises:
        ManifestError: If a table is missing or another file, or gives a case no patient or two.
    """
    known = _of_pseudonyms(pseudonyms) if pseudonyms else {}
    return {**known, **(_of_table(table) if table else {})}


def _of_table(path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _no_table(path, str(error)) from error
    if not rows or not set(_COLUMNS) <= rows[0].keys():
        raise _no_table(path, f"the columns {', '.join(rows[0]) if rows else 'of no row'}")
    found: dict[str, str] = {}
    for row in rows:
        case_id, patient = ((row[column] or "").strip() for column in _COLUMNS)
        if not (case_id or patient):
            continue
        known = found.setdefault(case_id, patient)
        if not (case_id and patient) or known != patient:
            raise _not_one_patient(path, case_id, (known, patient))
    return found


def _not_one_patient(path: Path, case_id: str, patients: tuple[str, str]) -> ManifestError:
    first, second = patients
    got = f"{first!r} and {second!r}" if first != second else f"case_id {case_id!r} with patient_id {first!r}"
    return ManifestError(
        f"table of patients {path.name}: must give each case one patient, got {got}",
        remedy="correct the lines of the case",
        case_id=case_id or None,
    )


def _no_table(path: Path, found: str) -> ManifestError:
    return ManifestError(
        f"table of patients {path.name}: must be a CSV with the columns {' and '.join(_COLUMNS)}, got {found}",
        remedy="write a line for each new case under these two names",
    )


def _of_pseudonyms(path: Path) -> dict[str, str]:
    """Pseudonyms of the patients, which are those of the cases' ids and, with one key, of medseg ingest."""
    from medseg.inference.inputs.pseudonym_table import load_pseudonym_table, patients_in_table
    from medseg.ingest.key import Pseudonyms, load_key

    load_pseudonym_table(path)  # which refuses another file
    names = Pseudonyms(load_key(path.with_name(f"{path.name}.key")))
    found = {}
    for case_id, patient in patients_in_table(path).items():
        candidates: Mapping[bool, str] = {is_id: names.patient(patient, is_id=is_id) for is_id in (True, False)}
        pseudonym = next((one for one in candidates.values() if case_id.startswith(one)), None)
        if pseudonym is not None:
            found[case_id] = pseudonym
    return found
