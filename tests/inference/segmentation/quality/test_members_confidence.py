"""The confidence of several models that draw one mask: each in its own mask, and compared with its own validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from medseg.geometry import Geometry
from medseg.inference import CaseInput, load_record
from medseg.inference.flag_record import FlagRecord
from medseg.inference.segmentation import InferenceConfig, ModelCard, Predictor, predict_cases
from medseg.inference.segmentation.ensemble import Ensemble
from medseg.inference.segmentation.mask_model import MaskModel
from medseg.inference.segmentation.quality import (
    ConfidenceCalibration,
    ConfidenceMeter,
    QualityChecker,
    TrainingStatistics,
    unchecked_of,
)
from medseg.preprocess import ChannelNormalisation, PreprocessConfig
from medseg.records import Scan
from medseg.scans import write_scan
from torch import Tensor, nn

from tests.inference.nnunet.conftest import Adopted, adopted
from tests.inference.nnunet.models import scan_for
from tests.inference.segmentation.quality.organs import TARGET, organ_case, organ_statistics
from tests.inference.segmentation.test_predict_cases import Steps

__all__ = ["adopted"]

CardBuilder = Callable[..., ModelCard]
CALIBRATION = ConfidenceCalibration(cases=20, exponent=1.0, error=0.02, p5=0.85, p95=0.95, limit=0.8)
SURE, DOUBTING, FLAT = 1.0, 0.08, 1e-4


class Scaled(nn.Module):
    """Knows the answer, and is as sure of it as it is told."""

    def __init__(self, sureness: float) -> None:
        super().__init__()
        self.sureness = sureness

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.sureness * Steps()(x)
        return logits


def calibrated(*names: str) -> TrainingStatistics:
    statistics = organ_statistics()
    return statistics.model_copy(update={"confidence": dict.fromkeys(names or TARGET.structures, CALIBRATION)})


@pytest.fixture
def build(build_card: CardBuilder) -> Callable[..., Predictor]:
    def of(sureness: float, statistics: TrainingStatistics | None, *, axcodes: str = "RAS") -> Predictor:
        card = build_card(
            labels=TARGET.labels,
            training_statistics=statistics,
            preprocess=PreprocessConfig(axcodes=axcodes, normalisation=(ChannelNormalisation(kind="none"),)),
            inference=InferenceConfig(patch_size=(16, 16, 16)),
        )
        return Predictor(Scaled(sureness), card, device=torch.device("cpu"), precision="fp32")

    return of


def answer_scan() -> Scan:
    """The labels of a case as its intensities, an organ and a node."""
    scan, label = organ_case(1)
    return Scan(label[None].astype("float32"), scan.geometry)


def doubts(model: MaskModel, scan: Scan | None = None) -> list[FlagRecord]:
    """The flags for doubts of networks about their masks of a scan."""
    scan = scan or answer_scan()
    check = QualityChecker.of(model).begin(scan)
    quality = check.finish(model.prepare(scan).draw(observe=check.observe))
    return [flag for flag in quality.flags if flag.kind == "confidence"]


@pytest.mark.parametrize("axcodes", ["RAS", "LSP"])  # on one grid, and on grids of their own
def test_model_with_flat_probabilities_makes_no_mask_of_the_others_doubtful(
    build: Callable[..., Predictor], axcodes: str
) -> None:
    both = Ensemble([build(SURE, calibrated()), build(FLAT, None, axcodes=axcodes)])
    meter = ConfidenceMeter(TARGET)
    both.prepare(answer_scan()).draw(observe=meter.observe)
    assert max(meter.soft_dice().values()) < 0.5  # the mean promises little
    assert doubts(both) == []
    assert len(doubts(build(FLAT, None))) == 2  # alone it is doubted


@pytest.mark.parametrize("axcodes", ["RAS", "LSP"])
def test_doubts_of_the_calibrated_model_stay_doubts_beside_one_without_statistics(
    build: Callable[..., Predictor], axcodes: str
) -> None:
    doubting = build(DOUBTING, calibrated())
    meter = ConfidenceMeter(TARGET)
    doubting.prepare(answer_scan()).draw(observe=meter.observe)
    flags = doubts(Ensemble([build(SURE, None, axcodes=axcodes), doubting]))
    assert {flag.structure: flag.value for flag in flags} == pytest.approx(meter.soft_dice(), abs=1e-3)
    assert "below 0.80 they are flagged; 1 of 1 models with a confidence to compare doubt it" in flags[0].reason


@pytest.mark.parametrize(
    ("sureness", "is_doubted"),
    [((SURE, DOUBTING), False), ((SURE, DOUBTING, DOUBTING), True), ((SURE, SURE, DOUBTING), False)],
)
def test_mask_is_doubted_where_more_than_half_of_the_models_doubt_their_own(
    build: Callable[..., Predictor], sureness: Sequence[float], is_doubted: bool
) -> None:
    flags = doubts(Ensemble([build(one, calibrated()) for one in sureness]))
    assert {flag.structure for flag in flags} == ({"organ", "node"} if is_doubted else set())
    assert all("; 2 of 3 models" in flag.reason for flag in flags)


def test_structure_without_a_calibration_is_held_against_a_dice_of_one_half(build: Callable[..., Predictor]) -> None:
    flags = doubts(Ensemble([build(one, calibrated("organ")) for one in (FLAT, FLAT)]))
    reasons = {flag.structure: flag.reason for flag in flags}
    assert "below 0.80 they are flagged" in reasons["organ"]
    assert "promise a Dice of" in reasons["node"]


def test_models_without_any_calibration_are_still_asked(build: Callable[..., Predictor]) -> None:
    assert doubts(Ensemble([build(SURE, None), build(FLAT, None)])) == []
    assert len(doubts(Ensemble([build(FLAT, None), build(FLAT, None)]))) == 2


def test_model_that_draws_nothing_counts_for_no_structure(build: Callable[..., Predictor]) -> None:
    class Background(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([torch.ones_like(x), torch.zeros_like(x), torch.zeros_like(x)], dim=1)

    nothing = build(SURE, calibrated())
    nothing.network = Background()
    assert doubts(Ensemble([build(SURE, calibrated()), nothing])) == []


def test_adopted_model_beside_a_trained_one_flags_nothing_by_its_own_confidence(
    build_card: CardBuilder, adopted: Adopted
) -> None:
    class Ball(nn.Module):
        """Both structures where they are bright, without a doubt."""

        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([torch.zeros_like(x), 60 * (x > 0) - 30.0, 80 * (x > 100) - 40.0], dim=1)

    other = adopted("two_folds")
    statistics = organ_statistics().model_copy(
        update={"confidence": dict.fromkeys(("liver", "spleen"), CALIBRATION), "structures": {}}
    )
    card = build_card(channels=("CT",), labels=other.labels, training_statistics=statistics)
    trained = Predictor(Ball(), card, device=torch.device("cpu"), precision="fp32")
    scan = scan_for("two_folds")
    for members in ([trained, other], [other, trained]):
        both = Ensemble(members)
        meter = ConfidenceMeter(both.target)
        both.prepare(scan).draw(observe=meter.observe)
        assert min(meter.soft_dice().values()) < 0.5  # of which the mean would make a flag
        assert doubts(both, scan) == []
        (told,) = unchecked_of(both.member_statistics)
        assert told.model == members.index(other) + 1
        assert "confidence" in told.kinds
        assert QualityChecker.of(both).warnings == (told.reason,)


def test_record_says_what_was_not_checked_of_which_model(build: Callable[..., Predictor], tmp_path: Path) -> None:
    scan = answer_scan()
    write_scan(scan.array, Geometry(scan.geometry.shape, scan.geometry.affine), tmp_path / "a.nii.gz")
    sure = organ_statistics()
    models = [build(SURE, calibrated()), build(FLAT, None), build(FLAT, sure)]
    predict_cases(Ensemble(models), [CaseInput("a", (tmp_path / "a.nii.gz",))], tmp_path / "out")
    record = load_record(tmp_path / "out")
    assert record is not None
    assert [(one.model, one.kinds[0], len(one.kinds)) for one in record.unchecked] == [
        (2, "confidence", 8), (3, "confidence", 1),
    ]  # fmt: skip
    assert "model 2: its card holds no statistics of its training scans" in record.unchecked[0].reason
    assert not any(flag.kind == "confidence" for case in record.cases for flag in case.flags)


def test_of_alike_models_everything_is_checked() -> None:
    statistics = organ_statistics()
    assert unchecked_of([calibrated(), calibrated()]) == ()
    assert unchecked_of([statistics]) == ()
    assert unchecked_of([statistics, statistics]) == ()
    (alone,) = unchecked_of([None, None])
    assert "confidence" not in alone.kinds  # the networks' own is what there is
