"""What the name of an nnU-Net trainer class says about its models."""

from __future__ import annotations

import re

from medseg.errors import CheckpointError

_BATCH_NORM = "nnUNetTrainerBN"
_WORDS = (
    r"\d+(epochs?|ep|k)", r"(No|no|only)Mirror(ing|01)?", r"DA\d?", r"DA(Seg|seg)?(O|o)rd0", r"(S|s)egord0", r"ord0",
    r"(No|no)DA", r"noDummy2DDA", r"(Dice|CE|Topk?\d*|TopK\d*|LS01|DC)*Loss(LS01)?", r"noSmooth", r"CosAnneal",
    r"(Vanilla)?Adam(\d+en\d+)?", r"Adan(\d+en\d+)?", r"SGD", r"warmup", r"probabilisticOversampling", r"0\d\d",
    r"NoDeepSupervision", r"Benchmark", r"noDataLoading", r"MOSAIC", r"(Quarter|Half)LR", r"\d+",
)  # fmt: skip
_KNOWN = re.compile(rf"nnUNetTrainer(_?({'|'.join(_WORDS)}))*")


def has_batch_norm(trainer: str, *, is_accepted: bool = False) -> bool:
    """Whether a trainer replaces the norm of the plans by batch norm, as one of nnU-Net's does.

    Args:
        trainer: Name of the class.
        is_accepted: Whether a class that is not nnU-Net's counts as one that changes the training alone.

    Raises:
        CheckpointError: If the class is not known to leave network and prediction as they are.
    """
    if trainer == _BATCH_NORM:
        return True
    if not is_accepted and _KNOWN.fullmatch(trainer) is None:
        raise CheckpointError(
            f"checkpoint must come from a trainer of nnU-Net, got the class {trainer}, which may build another network "
            "or predict in another way",
            remedy="look at the class: if it changes the training alone, adopt the model with its trainer accepted",
        )
    return False
