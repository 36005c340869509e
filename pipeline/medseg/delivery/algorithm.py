"""The models behind a result, in the terms of a DICOM header."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.inference.model_identity import ModelIdentity
from medseg.scans.segment import Algorithm
from medseg.version import __version__

_DIGITS = 12  # of a checksum
_NOTICE = "research software, not a medical device"


def algorithm_of(models: Sequence[ModelIdentity]) -> Algorithm:
    """The software in the terms of a DICOM header, whose texts are short.

    Args:
        models: Models of the result, several for an ensemble.
    """
    names = dict.fromkeys(model.dataset for model in models)
    digests = [(model.weights_digest or model.plan_digest)[:_DIGITS] for model in models]
    kind = "medseg ensemble" if len(models) > 1 else "medseg"
    return Algorithm(
        name=f"{kind}: {', '.join(names)}"[:64], version=__version__, digest="+".join(digests)[:64], notice=_NOTICE
    )
