"""Mutate scan files at random, read them, and say what came of it; run as a process of its own, since C code may die.

python -m tests.scans.fuzzing FOLDER COUNT SEED
"""

from __future__ import annotations

import gzip
import json
import random
import resource
import shutil
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from medseg.errors import PipelineError
from medseg.geometry import Geometry
from medseg.scans import read_scan
from medseg.scans.dicom import SeriesRules, find_series, quiet_dicom, read_instance, read_series

from tests.dicom_files import write_series

SLOWEST_S = 10
NIFTI_HEADER = 352
SLOPE = range(112, 120)  # slope and intercept stand in a NIfTI header once: nothing tells of their damage
SAME_MM = 0.02
SYNTAXES = ("native", "RLELossless", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless")
Volume = tuple[np.ndarray, Geometry]


class Outcome(NamedTuple):
    """What reading a mutated source gave.

    Attributes:
        kind: `same`, `refused`, `warned` (another volume, with a warning or note) or `changed` (without).
        detail: The error or the mutation.
    """

    kind: str
    detail: str


def main() -> None:
    """Fuzz and print what was counted, as JSON."""
    folder, count, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    signal.signal(signal.SIGALRM, _too_slow)
    warnings.simplefilter("ignore")
    rng = random.Random(seed)  # noqa: S311 (reproducible, not secret)
    counts: Counter[str] = Counter()
    odd: list[str] = []
    with quiet_dicom():
        sources = _sources(folder)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(count):
            name, files, read = sources[number % len(sources)]
            outcome, mutation = _try_one(files, read, folder / "mutated", rng)
            counts[f"{name.split('/')[0]} {mutation.split()[0]} {outcome.kind}"] += 1
            if outcome.kind in ("changed", "crashed") and len(odd) < 200:
                odd.append(f"{name}: {mutation}: {outcome.kind}: {outcome.detail}: {_around(folder, mutation)}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sys.stdout.write(json.dumps({"counts": dict(sorted(counts.items())), "odd": odd, "grown_mb": grown // 1024}))


def _sources(folder: Path) -> list[tuple[str, list[Path], Callable[[list[Path]], tuple[Volume, bool]]]]:
    """Series in several transfer syntaxes, and NIfTI files."""
    import nibabel

    rng = np.random.default_rng(0)
    affine = np.array([[-0.9, 0.02, 0, 31], [0.02, -1.1, 0, 20], [0, 0, 3, -30], [0, 0, 0, 1.0]])
    affine[:3, :3] = np.linalg.qr(affine[:3, :3])[0] * [0.9, 1.1, 3.0]
    grid = Geometry((20, 16, 6), affine)
    array = rng.integers(-1000, 2000, grid.shape).astype(np.int16)
    found: list[Any] = []
    for syntax in SYNTAXES:
        native = folder / "native"
        if not native.exists():
            write_series(array, grid, native)
        files = sorted(native.iterdir()) if syntax == "native" else _recoded(native, folder / syntax, syntax)
        found.append((f"dicom/{syntax}", files, _read_dicom))
    for ending in ("nii", "nii.gz"):
        path = folder / f"scan.{ending}"
        image = nibabel.Nifti1Image(array, affine)
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        image.to_filename(path)
        found.append((f"{ending}/", [path], _read_nifti))
    return found


def _recoded(native: Path, folder: Path, syntax: str) -> list[Path]:
    """The series in another transfer syntax, by GDCM."""
    import gdcm

    folder.mkdir()
    for path in sorted(native.iterdir()):
        reader = gdcm.ImageReader()
        reader.SetFileName(str(path))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(folder / path.name))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
    return sorted(folder.iterdir())


def _try_one(
    files: list[Path], read: Callable[[list[Path]], tuple[Volume, bool]], folder: Path, rng: random.Random
) -> tuple[Outcome, str]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    copies = [Path(shutil.copy(path, folder / path.name)) for path in files]
    wanted, _ = read(copies)
    victim = rng.choice(copies)
    content, mutation = mutate(victim.read_bytes(), rng)
    victim.write_bytes(content)
    signal.alarm(SLOWEST_S)
    try:
        got, was_warned = read(copies)
    except PipelineError as error:
        return Outcome("refused", str(error)), mutation
    except Exception as error:  # what the fuzz run is for
        return Outcome("crashed", repr(error)), mutation
    finally:
        signal.alarm(0)
    return Outcome(_compare(got, wanted, was_warned=was_warned), mutation), mutation


def mutate(content: bytes, rng: random.Random) -> tuple[bytes, str]:
    """Truncate a file, or flip bits of, overwrite, remove or insert bytes of its header.

    Bytes of the pixels are left alone: no checksum tells there, but in a compressed NIfTI file.
    """
    if content[:2] == b"\x1f\x8b" and rng.random() < 0.5:
        inner, mutation = mutate(gzip.decompress(content), rng)
        return gzip.compress(inner), mutation
    kind = rng.choice(("truncated", "flipped", "overwritten", "removed", "inserted"))
    if kind == "truncated":
        end = rng.randrange(len(content))
        return content[:end], f"{kind} at {end} of {len(content)}"
    pixels = content.rfind(b"\xe0\x7f\x10\x00")
    header = pixels if pixels > 0 else NIFTI_HEADER
    start = rng.randrange(header)
    if header == NIFTI_HEADER and start < SLOPE.stop and start + 16 > SLOPE.start:
        start += 24
    size = min(rng.choice((1, 1, 2, 4, 16)), header - start)
    data = bytearray(content)
    if kind == "flipped":
        data[start] ^= 1 << rng.randrange(8)
    elif kind == "overwritten":
        data[start : start + size] = rng.randbytes(size) if rng.random() < 0.7 else rng.choice((b"\0", b"\xff")) * size
    elif kind == "removed":
        del data[start : start + size]
    else:
        data[start:start] = rng.randbytes(size)
    return bytes(data), f"{kind} {size} at {start}"


def _read_dicom(files: list[Path]) -> tuple[Volume, bool]:
    """The only volume of the files, as ingest would take it: leftovers and refusals count as refused."""
    instances = [one for path in files if (one := read_instance(path))]
    found = find_series(instances, SeriesRules())
    usable = [one for one in found if not one.problems]
    if len(usable) != 1 or len(found) != 1:
        raise PipelineError(f"{len(found)} series, {len(usable)} usable")
    series = read_series(usable[0])
    is_noted = bool(usable[0].notes or series.notes) or len(instances) < len(files)  # ingest names such files
    return (series.scan.array, series.scan.geometry), is_noted


def _read_nifti(files: list[Path]) -> tuple[Volume, bool]:
    import logging

    class Heard(logging.Handler):
        said = False

        def emit(self, record: logging.LogRecord) -> None:
            self.said = True

    heard = Heard()
    logger = logging.getLogger("medseg")
    logger.addHandler(heard)
    try:
        scan = read_scan(files[0], case_id="fuzz")
    finally:
        logger.removeHandler(heard)
    return (scan.array, scan.geometry), heard.said


def _around(folder: Path, mutation: str) -> str:
    """The bytes about a mutation, to see which element it met."""
    start = int(mutation.split()[3]) if mutation.split()[2] == "at" else 0
    newest = max((folder / "mutated").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    return repr(newest.read_bytes()[max(start - 40, 0) : start + 20])


def _compare(got: Volume, wanted: Volume, *, was_warned: bool) -> str:
    same = got[0].shape == wanted[0].shape and np.array_equal(got[0], wanted[0])
    if same and got[1].is_close(wanted[1], tolerance_mm=SAME_MM):
        return "same"
    return "warned" if was_warned else "changed"


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TimeoutError(f"took more than {SLOWEST_S} s")


if __name__ == "__main__":
    main()
