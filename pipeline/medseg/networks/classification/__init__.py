"""Classifiers of slices and studies: residual, plain and classical nets, and the UNet's own encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.lazy import lazy_names

if TYPE_CHECKING:
    from medseg.networks.classification.activation_map import grad_cam
    from medseg.networks.classification.architecture import ARCHITECTURES, Architecture
    from medseg.networks.classification.build import SliceClassifier, smallest_size
    from medseg.networks.classification.config import ClassifierConfig, PoolingKind
    from medseg.networks.classification.from_unet import encoder_classifier, load_unet_encoder
    from medseg.networks.classification.imagenet import load_imagenet
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "ARCHITECTURES": "architecture",
            "Architecture": "architecture",
            "ClassifierConfig": "config",
            "PoolingKind": "config",
            "SliceClassifier": "build",
            "encoder_classifier": "from_unet",
            "grad_cam": "activation_map",
            "load_imagenet": "imagenet",
            "load_unet_encoder": "from_unet",
            "smallest_size": "build",
        },
    )

__all__ = [
    "ARCHITECTURES",
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
