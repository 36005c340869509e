"""Made-up scans with an organ, for the tests of the flags."""

from __future__ import annotations

import numpy as np
from medseg.geometry import Geometry
from medseg.inference.segmentation.quality import TrainingStatistics, collect_statistics
from medseg.preprocess import ChannelNormalisation
from medseg.preprocess.scan_facts import ScanFacts
from medseg.preprocess.segmentation.case_facts import CaseFacts
from medseg.preprocess.segmentation.structure_facts import structure_facts
from medseg.records import Labelmap, Scan
from medseg.targets import ExclusiveLabels

TARGET = ExclusiveLabels(labels={"background": 0, "organ": 1, "node": 2})
CHANNELS = ("MR",)
TRAINING = 30


def organ_case(seed: int) -> tuple[Scan, Labelmap]:
    """A scan of about 24×26×20 mm with an organ of about 0.5 ml and, in two of three, a node of 8 voxels."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(size + rng.integers(-2, 3)) for size in (24, 26, 20))
    label = np.zeros(shape, np.uint8)
    length = int(rng.integers(7, 10))
    label[6 : 6 + length, 8:16, 6:14] = 1
    if seed % 3:
        label[17:19, 4:6, 4:6] = 2
    image = rng.normal(100, 20, shape) + 80 * (label == 1)
    return Scan(image[None].astype(np.float32), Geometry(shape, np.eye(4))), label


def facts_of(scan: Scan, label: Labelmap) -> CaseFacts:
    """Facts about a case."""
    return CaseFacts(scan=ScanFacts.of(scan), structures=structure_facts(label, TARGET))


def organ_statistics(cases: int = TRAINING, *, kind: str = "zscore", modality: str = "MR") -> TrainingStatistics:
    """Statistics of a training on so many made-up scans."""
    fixed = {"clip_hu": (-100, 300), "mean_hu": 100, "std_hu": 20} if kind == "ct" else {}
    normalisation = ChannelNormalisation.model_validate({"kind": kind, **fixed})
    statistics = collect_statistics(
        [facts_of(*organ_case(seed)) for seed in range(cases)],
        TARGET.structures,
        normalisation=(normalisation,),
        modalities=[modality] * cases,
    )
    if statistics is None:
        raise ValueError("there must be a case")
    return statistics
