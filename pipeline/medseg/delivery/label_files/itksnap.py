"""Label descriptions of ITK-SNAP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medseg.atomic import write_text
from medseg.delivery.label_files.value_labels import value_labels
from medseg.scans.segment import Segment

_HEAD = """\
################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
# Fields:
#    IDX:   Zero-based index
#    -R-:   Red color component (0..255)
#    -G-:   Green color component (0..255)
#    -B-:   Blue color component (0..255)
#    -A-:   Label transparency (0.00 .. 1.00)
#    VIS:   Label visibility (0 or 1)
#    MSH:   Label mesh visibility (0 or 1)
#  LABEL:   Label description
################################################
"""
_CLEAR = '    0     0    0    0        0  0  0    "Clear Label"\n'


def write_itksnap_labels(segments: Sequence[Segment], path: Path) -> None:
    """Write names and colours that ITK-SNAP loads by Segmentation > Import Label Descriptions.

    A name stands between quotation marks, which it therefore cannot hold: each becomes an apostrophe.

    Raises:
        DeliveryError: If a structure has no name, or the file cannot be written.

    Source: the head that ITK-SNAP writes into its own files.
    """
    lines = []
    for value, name, (red, green, blue) in value_labels(segments):
        shown = " ".join(name.replace('"', "'").split())
        lines.append(f'{value:5d} {red:5d} {green:4d} {blue:4d}        1  1  1    "{shown}"\n')
    write_text(path, "".join([_HEAD, _CLEAR, *lines]))
