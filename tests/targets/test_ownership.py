"""Only `medseg.targets` says what output channels mean: nobody else writes softmax, sigmoid or argmax."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORDS = ("softmax", "sigmoid", "expit", "argmax")
ALLOWED = {
    # Not about output channels: where something is largest along space, time or a table.
    "pipeline/medseg/geometry.py": ("argmax", "the source axis that comes nearest to an axis"),
    "pipeline/medseg/preprocess/classification/slice_axis.py": ("argmax", "the patient axis that slices follow most"),
    "pipeline/medseg/disclosure/head.py": ("argmax", "the largest piece of tissue"),
    "pipeline/medseg/planning/segmentation.py": ("argmax", "the axis with the coarsest spacing"),
    "pipeline/medseg/planning/sizes.py": ("argmax", "the longest axis of a patch"),
    "pipeline/medseg/planning/network_choice.py": ("argmax", "the longest axis of a patch"),
    "pipeline/medseg/raters/staple.py": ("argmax", "the label that raters hold likeliest"),
    "pipeline/medseg/raters/votes.py": ("argmax", "the label of most raters"),
    "pipeline/medseg/split/refine.py": ("argmax", "the fullest fold"),
    "pipeline/medseg/delivery/pictures/planes.py": ("argmax", "the slice that shows most"),
    "pipeline/medseg/delivery/regression/volume_picture.py": ("argmax", "the slice with the largest errors"),
    "pipeline/medseg/delivery/measurements/diameters.py": (
        "argmax",
        "the first voxel of a line, and the farthest points",
    ),
    "pipeline/medseg/delivery/classification/triage/curve.py": ("argmax", "the highest point of a stretch of a curve"),
    "pipeline/medseg/evaluation/classification/ranking.py": ("argmax", "the most confident slice of a case"),
    "pipeline/medseg/inference/classification/disagreement.py": ("argmax", "the slice and class that differ most"),
    "notebooks/02_residual_gradient_flow.ipynb": ("argmax", "the first gradient that is not zero"),
    "pipeline/medseg/evaluation/resampling.py": ("expit", "the ends of an interval of log odds"),
    "benchmarks/peers/dynunet_tutorial.py": ("softmax", "the peer's own loss, which is MONAI's"),
    # Inside a network, before its output channels.
    "pipeline/medseg/networks/classification/study_pooling.py": ("softmax sigmoid", "weights of attention pooling"),
    "pipeline/medseg/networks/lens/trace.py": ("sigmoid", "names of operations that a trace may meet"),
    # Chosen by the target in `loss_for`.
    "pipeline/medseg/training/segmentation/dice_entropy.py": ("softmax", "the loss of exclusive labels has its own"),
    "pipeline/medseg/training/segmentation/marginal_loss.py": ("softmax", "the loss of labels that some annotate"),
    "pipeline/medseg/training/segmentation/region_loss.py": ("sigmoid", "the loss of regions has its own"),
}


def sources() -> Iterator[Path]:
    for folder in ("pipeline/medseg", "workflows", "benchmarks", "notebooks"):
        for suffix in ("py", "ipynb"):
            yield from (path for path in (ROOT / folder).rglob(f"*.{suffix}") if ".ipynb_checkpoints" not in path.parts)


def code_of(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return text
    cells = [cell["source"] for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return "\n".join(line for cell in cells for line in "".join(cell).splitlines() if not line.startswith(("%", "!")))


def words_in(code: str) -> set[str]:
    """Words that stand in a name, attribute, keyword or import of the code; comments and strings do not count."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        for field in ("id", "attr", "arg", "name", "asname", "module"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                found |= {word for word in WORDS if word in name.lower()}
    return found


def is_owner(path: Path) -> bool:
    return path.is_relative_to(ROOT / "pipeline/medseg/targets")


def test_activation_and_decision_stand_in_targets_alone() -> None:
    strays = {}
    for path in sources():
        allowed = ALLOWED.get(path.relative_to(ROOT).as_posix(), ("", ""))[0].split()
        words = words_in(code_of(path)) - set(allowed)
        if words and not is_owner(path):
            strays[path.relative_to(ROOT).as_posix()] = sorted(words)
    assert strays == {}, "let a target of medseg.targets activate and decide, or give a reason in ALLOWED"


def test_every_exception_is_needed() -> None:
    for name, (words, reason) in ALLOWED.items():
        assert reason
        assert set(words.split()) <= words_in(code_of(ROOT / name)), name


def test_words_are_found_wherever_code_can_have_them() -> None:
    assert words_in("from scipy.special import expit as e") == {"expit"}
    assert words_in("p = x.log_softmax(0)") == words_in("DiceLoss(softmax=True)") == {"softmax"}
    assert words_in("k = np.argmax(x)\nclass Sigmoid: ...") == {"argmax", "sigmoid"}
    assert words_in("# softmax\n'sigmoid'") == set()


def test_neither_channels_of_labels_nor_a_logistic_function_are_written_out_elsewhere() -> None:
    patterns = ("sorted(labels.values())", "len(manifest.labels)", "card.values", "1 + np.exp(", "1 + torch.exp(")
    strays = [
        f"{path.relative_to(ROOT)}: {pattern}"
        for path in sources()
        for pattern in patterns
        if not is_owner(path) and pattern in code_of(path)
    ]
    assert strays == []
