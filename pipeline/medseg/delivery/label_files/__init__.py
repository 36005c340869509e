"""Files that tell viewers the names and colours of a mask's values, and masks of single structures."""

from __future__ import annotations

from medseg.delivery.label_files.itksnap import write_itksnap_labels
from medseg.delivery.label_files.label_masks import write_label_masks
from medseg.delivery.label_files.label_sidecar import write_label_sidecar
from medseg.delivery.label_files.slicer_colours import write_slicer_colours
from medseg.delivery.label_files.value_labels import ValueLabel, value_labels

__all__ = [
    "ValueLabel",
    "value_labels",
    "write_itksnap_labels",
    "write_label_masks",
    "write_label_sidecar",
    "write_slicer_colours",
]
