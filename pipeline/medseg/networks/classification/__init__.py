"""Classifiers of slices and studies: residual, plain and classical nets, and the UNet's own encoder."""

from __future__ import annotations

from medseg.networks.classification.build import SliceClassifier, smallest_size
from medseg.networks.classification.config import Architecture, ClassifierConfig, PoolingKind
from medseg.networks.classification.from_unet import encoder_classifier, load_unet_encoder
from medseg.networks.classification.grad_cam import grad_cam
from medseg.networks.classification.imagenet import load_imagenet

__all__ = [
    "Architecture",
    "ClassifierConfig",
    "PoolingKind",
    "SliceClassifier",
    "encoder_classifier",
    "grad_cam",
    "load_imagenet",
    "load_unet_encoder",
    "smallest_size",
]
