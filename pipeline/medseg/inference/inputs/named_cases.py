"""Cases with their ids: of their files and patients, or pseudonyms."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from medseg.inference.inputs.case_ids import unique_ids
from medseg.inference.inputs.case_input import CaseInput, FoundInputs, InputChoice, PassedOver, RefusedInput
from medseg.inference.inputs.draft import Draft
from medseg.inference.inputs.private_text import private_error, without_names
from medseg.inference.inputs.pseudonym_table import PseudonymTable

_log = logging.getLogger(__name__)


def named_cases(drafts: Sequence[Draft], passed: Sequence[PassedOver], choice: InputChoice) -> FoundInputs:
    """Give all cases their ids.

    Args:
        drafts: Cases in their order.
        passed: Everything that is no case.
        choice: Choices of the user, pseudonyms among them.

    Raises:
        ConfigError: If the table of pseudonyms would lie in the folder of the results.
        ManifestError: If it is no such table.
        DeliveryError: If it cannot be written.
    """
    if choice.pseudonyms is None:
        ids = unique_ids([draft.names for draft in drafts])
        return _found(ids, drafts, passed)
    with PseudonymTable.opened(choice.pseudonyms, out=choice.out) as table:  # saved before any result, which needs it
        ids = [table.case_id(draft) for draft in drafts]
        shown = [table.passed_over(one) for one in passed]
    return _found(ids, drafts, shown, key=table.names.key)


def _found(
    ids: Sequence[str], drafts: Sequence[Draft], passed: Sequence[PassedOver], *, key: bytes | None = None
) -> FoundInputs:
    cases, refused = [], []
    for case_id, draft in zip(ids, drafts, strict=True):
        if draft.error is not None:
            error = private_error(draft.error, draft.files, case_id=case_id) if key else draft.error
            refused.append(RefusedInput(case_id, error, draft.files))
            continue
        for note in draft.notes:
            _log.warning("case %s: %s", case_id, without_names(note, draft.files) if key else note)
        source = draft.source.without_identity() if key else draft.source
        cases.append(CaseInput(case_id, draft.files, source, draft.series, key))
    return FoundInputs(tuple(cases), _sorted(passed), tuple(refused))


def _sorted(passed: Sequence[PassedOver]) -> tuple[PassedOver, ...]:
    return tuple(sorted(passed, key=lambda one: (one.path, one.reason)))
