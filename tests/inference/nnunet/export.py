"""Write the models and scans that nnU-Net draws its masks of, for `draw_by_nnunet.py`."""

from __future__ import annotations

import sys
from pathlib import Path

from medseg.scans import write_scan

from tests.inference.nnunet.models import NAMES, scan_for, write_model


def main() -> None:
    """Write a folder for each model, with the scan's channels in it."""
    target = Path(sys.argv[1])
    for name in NAMES:
        write_model(name, target / name)
        scan = scan_for(name)
        for channel, array in enumerate(scan.array):
            write_scan(array[None], scan.geometry, target / name / "scans" / f"case_{channel:04d}.nii.gz")


if __name__ == "__main__":
    main()
