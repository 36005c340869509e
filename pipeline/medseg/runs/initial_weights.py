"""The file of weights that a run begins with, remembered for its resume."""

from __future__ import annotations

from pathlib import Path

from medseg.configuration import Config
from medseg.errors import CheckpointError
from medseg.inference import model_folder
from medseg.networks.weights import weights_digest


class InitialWeights(Config):
    """Weights that a run began with.

    Attributes:
        path: File of the weights.
        digest: SHA-256 of that file.
    """

    path: str
    digest: str


def weights_file(initial: Path) -> Path:
    """The last weights of a run or its model folder; a file is itself."""
    return model_folder(initial) / "last.safetensors" if initial.is_dir() else initial


def initial_weights(initial: Path | None) -> InitialWeights | None:
    """The record of the weights that a run begins with; None for fresh ones.

    Raises:
        CheckpointError: If the file cannot be read.
    """
    if initial is None:
        return None
    path = weights_file(initial)
    return InitialWeights(path=str(path.resolve()), digest=weights_digest(path))


def resumed_initial(
    recorded: InitialWeights | None, given: Path | None, *, has_checkpoint: bool, option: str = "init"
) -> Path | None:
    """The weights that a resumed run begins with again; None where its checkpoint has all, or it began with fresh ones.

    Args:
        recorded: Weights that the run began with.
        given: Weights that the resume was asked for.
        has_checkpoint: Whether the run has reached its first checkpoint.
        option: Name of the option that gave them.

    Raises:
        CheckpointError: If the run began with other weights, or they are needed and are no longer what they were.
    """
    if given is not None and (recorded is None or weights_digest(weights_file(given)) != recorded.digest):
        raise CheckpointError(
            f"resume: {option} must be as the run began ({recorded.path if recorded else 'with fresh weights'}), got "
            f"{given}",
            remedy=f"leave {option} out, or start a new run",
        )
    if recorded is None or has_checkpoint:
        return None
    path = given or Path(recorded.path)
    if not weights_file(path).is_file() or weights_digest(weights_file(path)) != recorded.digest:
        raise CheckpointError(
            f"resume: the weights that the run began with are needed, because it has no checkpoint yet, and {path} "
            "does not hold them any more",
            remedy="start a new run",
        )
    return path
