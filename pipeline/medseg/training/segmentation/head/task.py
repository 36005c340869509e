"""Train masks and classes on one encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ignite.engine import Engine
from torch import Tensor, nn
from torch.optim import Optimizer

from medseg.evaluation.classification import flat_metrics, summarise_scores
from medseg.inference.segmentation.head.card import HeadCard
from medseg.inference.segmentation.head.prepared import PreparedHead
from medseg.inference.segmentation.head.scores import head_scores
from medseg.inference.segmentation.quality import ConfidenceMeter
from medseg.networks.segmentation.multitask import MultitaskUNet
from medseg.preprocess.segmentation import StoredCase
from medseg.records import Array, CaseMetrics, SliceScores
from medseg.training.batches import Phased
from medseg.training.segmentation.config import TrainingConfig
from medseg.training.segmentation.head.config import HeadConfig
from medseg.training.segmentation.head.patches import HeadPatches
from medseg.training.segmentation.head.step import multitask_step
from medseg.training.segmentation.kept_scans import KeptScans
from medseg.training.segmentation.loss import loss_for
from medseg.training.segmentation.marginal_loss import open_groups
from medseg.training.segmentation.masked import has_mask
from medseg.training.segmentation.patches import PatchDataset
from medseg.training.segmentation.replay import Replay
from medseg.training.segmentation.task import SegmentationInputs, SegmentationTask
from medseg.training.segmentation.validate import validate_volume
from medseg.training.task import CaseStep, Step, Validation


@dataclass(frozen=True, slots=True)
class HeadInputs:
    """What a training knows of the classes of its head.

    Attributes:
        config: Classes, and the rule by which losses are added.
        listed: Truth of the training cases that the manifest lists, by case.
        truth: Truth of the validation cases, by case.
        patients: Patient of each validation case.
    """

    config: HeadConfig
    listed: Mapping[str, Array]
    truth: Mapping[str, Array]
    patients: Mapping[str, str]


class MultitaskTask(SegmentationTask):
    """Patches in, masks of whole volumes and probabilities of classes out; the score is the masks' Dice.

    Attributes:
        logits: Logits of the head at the last validation of each case, on the scan's own slices.

    Args:
        inputs: Cases and settings.
        head: Classes of the head, and what is known of them.
    """

    def __init__(self, inputs: SegmentationInputs, head: HeadInputs) -> None:
        super().__init__(inputs)
        # Those with a mask first, so that a validation of few cases has one.
        self.validation_cases = sorted(inputs.validation, key=lambda case: not has_mask(case, inputs.target))
        self.head = head
        self.logits: dict[str, Array] = {}

    def step(self, network: nn.Module, optimiser: Optimizer) -> Step:
        """Steps of either phase on masks and classes."""
        if not isinstance(network, MultitaskUNet):
            raise TypeError("a multitask training needs a network with a head")
        inputs, own = self.inputs, self.inputs.parts.loss
        groups = open_groups(inputs.training, inputs.target)
        is_partial = any(not has_mask(case, inputs.target) for case in inputs.training)
        weight = inputs.config.dice_weight
        loss = (
            own(inputs.config)
            if own
            else loss_for(inputs.target, dice_weight=weight, groups=groups, is_partial=is_partial)
        )
        steps = [
            multitask_step(
                network,
                optimiser,
                loss.to(self.device),
                config,
                self.device,
                head=self.head.config,
                target=inputs.target,
                groups=groups,
            )
            for config in self.phases
        ]

        def step(engine: Engine, phased: Phased) -> Tensor:
            return steps[phased.phase](engine, phased.batch)

        return step

    def samples(self, config: TrainingConfig, factor: Sequence[int], kept: KeptScans | None) -> PatchDataset:
        """Patches with what is known of their slices."""
        cases, target = self.inputs.training, self.inputs.target
        masked = [case.case_id for case in cases if has_mask(case, target)]
        others = len(cases) - len(masked)
        share = self.head.config.mask_share
        return HeadPatches(
            cases,
            config,
            target=target,
            head=self.head.config.target,
            listed=self.head.listed,
            factor=factor,
            kept=kept,
            replay=Replay.of(masked, old=others, wanted=share) if others else None,
        )

    def evaluation_step(self, network: nn.Module) -> CaseStep:
        """Metrics of one whole volume, whose head's logits are kept."""
        inputs = self.inputs

        def measure(engine: Engine, case: StoredCase) -> list[CaseMetrics]:
            meter = ConfidenceMeter(inputs.target)
            prepared = PreparedHead(self.card(), case.native)
            prepared.begin(case.grid)
            mask, rows = validate_volume(
                network,
                case,
                inputs.inference,
                target=inputs.target,
                device=inputs.device,
                precision=inputs.config.precision,
                metrics=inputs.parts.metrics,
                observe=meter.observe,
                head=prepared.sums,
            )
            self.logits[case.case_id] = prepared.logits()
            self.soft_dice[case.case_id] = meter.soft_dice()
            self.masks.keep(case.case_id, mask)
            return rows

        return measure

    def summarise(self, rows: Sequence[CaseMetrics]) -> Validation:
        """Mean Dice of whole volumes, and the numbers of the classes beside it."""
        masks = super().summarise(rows)
        config = self.head.config
        summary = summarise_scores(self.scores(self.card()), classes=config.classes, kind="multilabel", resamples=0)
        values = {name: value for name, value in flat_metrics(summary).items() if value == value}
        return Validation(masks.score, masks.values | values, masks.rows)

    def card(self) -> HeadCard:
        """The head before its calibration."""
        config = self.head.config
        return HeadCard(level=config.level, classes=config.classes)

    def scores(self, card: HeadCard) -> list[SliceScores]:
        """Probabilities and truth of the cases that were validated last.

        Args:
            card: Classes and temperature.
        """
        return [
            head_scores(
                self.logits[case.case_id],
                card,
                case.native,
                case_id=case.case_id,
                patient_id=self.head.patients[case.case_id],
                truth=self.head.truth.get(case.case_id),
            )
            for case in self.inputs.validation
            if case.case_id in self.logits
        ]
