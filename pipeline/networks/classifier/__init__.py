"""Classifiers of slices and studies: residual, plain and classical nets, and the UNet's own encoder."""

from __future__ import annotations

from pipeline.networks.classifier.build import SliceClassifier, smallest_size
from pipeline.networks.classifier.config import Architecture, ClassifierConfig, PoolingKind
from pipeline.networks.classifier.from_unet import encoder_classifier, load_unet_encoder
from pipeline.networks.classifier.grad_cam import grad_cam
from pipeline.networks.classifier.imagenet import load_imagenet

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
