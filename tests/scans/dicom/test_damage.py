"""Damaged files are refused in words: no other error, nothing of the file quoted, no memory taken on its word."""

from __future__ import annotations

import random
import resource
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from medseg.errors import PipelineError, ScanError
from medseg.scans.dicom import (
    SeriesRules,
    draw_label_object,
    find_series,
    quiet_dicom,
    read_instance,
    read_label_object,
    read_series,
)
from medseg.scans.dicom.damage import reading_dicom
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filereader import dcmread
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, SegmentationStorage

from tests.dicom_files import (
    decimals,
    read_folder,
    recode,
    save,
    slice_dataset,
    write_enhanced,
    write_mosaic,
    write_series,
    write_structure_set,
)
from tests.grids import grid

SLANTED = grid((16, 18, 5), spacing_mm=(0.8, 1.1, 3.0), angles=(0.2, -0.1, 0.3), origin_mm=(-12, 5, 40), axcodes="LPS")
ARRAY = np.random.default_rng(8).integers(0, 3000, SLANTED.shape).astype(np.int16)
# What a message must not hold: the patient, other people and places, and folders.
SECRETS = ("Mustermann", "Erika", "0047110815", "19640812", "Klinikum", "Zuweiser", "9988776", "Geheim", "/tmp")  # noqa: S108


def write_seg(path: Path) -> Path:
    """A binary segmentation of two frames, by hand."""
    dataset = slice_dataset(np.zeros((18, 16), np.uint16), 1)
    dataset.SOPClassUID, dataset.Modality, dataset.SegmentationType = SegmentationStorage, "SEG", "BINARY"
    dataset.PatientName, dataset.NumberOfFrames = "Mustermann^Erika", 2
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = 1, "Geheim"
    dataset.SegmentSequence = [segment]
    affine, spacing = SLANTED.to_lps(), SLANTED.spacing_mm
    groups = []
    for k in (1, 2):
        group, position, orientation, measures, identification = (Dataset() for _ in range(5))
        position.ImagePositionPatient = decimals(affine[:3, 3] + k * affine[:3, 2])
        orientation.ImageOrientationPatient = decimals([*(affine[:3, 0] / spacing[0]), *(affine[:3, 1] / spacing[1])])
        measures.PixelSpacing = decimals([spacing[1], spacing[0]])
        identification.ReferencedSegmentNumber = 1
        group.PlanePositionSequence, group.PlaneOrientationSequence = [position], [orientation]
        group.PixelMeasuresSequence, group.SegmentIdentificationSequence = [measures], [identification]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.PixelData = np.random.default_rng(0).bytes(72)
    save(dataset, path)
    return path


def write_one(kind: str, folder: Path) -> Path:
    """A whole file of a kind."""
    path = folder / "Geheim"
    if kind == "enhanced":
        write_enhanced(ARRAY, SLANTED, path)
    elif kind == "mosaic":
        write_mosaic(ARRAY, SLANTED, path)
    elif kind == "seg":
        write_seg(path)
    elif kind == "rtstruct":
        images = write_series(ARRAY, SLANTED, folder / "images")
        square = np.array([[2, 2, 1], [2, 7, 1], [8, 7, 1], [8, 2, 1]], float)
        contour = square @ SLANTED.to_lps()[:3, :3].T + SLANTED.to_lps()[:3, 3]
        write_structure_set({"Geheim": [contour]}, images, path)
    else:
        write_series(ARRAY, SLANTED, folder / "images")
        if kind == "slice":
            return folder / "images" / "00002"
        recode(folder / "images" / "00002", kind, path)
    return path


def use(path: Path) -> None:
    """Whatever the intake does with a file."""
    instance = read_instance(path)
    if instance is None:
        return
    for found in find_series([instance], SeriesRules(min_slices=1)):
        read_series(found, repair=frozenset({"tilt", "gaps"}))
    label = read_label_object(path)
    for _ in draw_label_object(label, SLANTED):
        pass


def mutated(content: bytes, rng: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        start = rng.randrange(len(data))
        kind = rng.choice(("cut", "flip", "overwrite", "remove", "insert"))
        if kind == "cut":
            del data[max(start, 200) :]
        elif kind == "flip":
            data[start] ^= 1 << rng.randrange(8)
        elif kind == "overwrite":
            data[start : start + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", rng.randbytes(4)))
        elif kind == "remove":
            del data[start : start + rng.randrange(1, 9)]
        else:
            data[start:start] = rng.randbytes(rng.randrange(1, 9))
    return bytes(data)


KINDS = ("slice", "enhanced", "mosaic", "seg", "rtstruct", "RLELossless", "JPEGLosslessProcess14_1", "JPEG2000Lossless")


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32 - 1))
def test_mutated_file_is_read_or_refused_and_never_quoted(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int
) -> None:
    path = _whole(tmp_path_factory, kind)
    victim = path.with_name("Geheim_mutated")
    victim.write_bytes(mutated(path.read_bytes(), random.Random(seed)))  # noqa: S311 (damage, no secret)
    try:
        with quiet_dicom():
            use(victim)
    except PipelineError as error:
        reported = str(error)
        assert not [secret for secret in SECRETS if secret.lower() in reported.lower()], reported
        assert reported.isprintable()


_WHOLE: dict[str, Path] = {}


def _whole(factory: pytest.TempPathFactory, kind: str) -> Path:
    if kind not in _WHOLE:
        _WHOLE[kind] = write_one(kind, factory.mktemp(kind))
    return _WHOLE[kind]


@pytest.mark.parametrize("kind", ["slice", "enhanced", "seg", "rtstruct"])
def test_file_cut_anywhere_is_refused_or_no_dicom(tmp_path: Path, kind: str) -> None:
    path = write_one(kind, tmp_path)
    content = path.read_bytes()
    last_element = content.rindex(b"\x06\x30\x39\x00SQ") if kind == "rtstruct" else len(content)
    for end in (*range(0, 130, 26), *range(132, last_element, 31), *range(last_element + 12, len(content), 3)):
        (tmp_path / "cut").write_bytes(content[:end])
        if end < 132:
            assert read_instance(tmp_path / "cut") is None
            continue
        with pytest.raises(PipelineError):
            use(tmp_path / "cut")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless], ids=["native", "coded"])
@pytest.mark.parametrize("frames", [1, 1_000_000])
@pytest.mark.parametrize("kind", ["slice", "enhanced", "seg", "mosaic"])
def test_promise_of_sixty_thousand_rows_is_refused_at_once(tmp_path: Path, kind: str, frames: int, syntax: str) -> None:
    dataset = dcmread(write_one(kind, tmp_path))
    dataset.Rows = dataset.Columns = 60000
    dataset.NumberOfFrames = frames
    if syntax == RLELossless:
        dataset.PixelData = encapsulate([b"\1\0\0\0\x40\0\0\0" + b"\0" * 60])
        dataset["PixelData"].VR = "OB"
    save(dataset, tmp_path / "huge", transfer_syntax=syntax)
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ScanError):
        use(tmp_path / "huge")
    assert time.perf_counter() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def test_promise_of_more_frames_than_the_file_has_room_for_is_refused(tmp_path: Path) -> None:
    dataset = write_enhanced(ARRAY, SLANTED, tmp_path / "one")
    dataset.NumberOfFrames = 1000
    dataset.save_as(tmp_path / "one")
    with pytest.raises(ScanError, match=r"a file must have room for its 1000 frames, got [0-9]+ bytes"):
        read_instance(tmp_path / "one")


def test_promise_of_more_rows_than_there_are_is_refused(tmp_path: Path) -> None:
    for dataset in write_series(ARRAY, SLANTED, tmp_path):
        dataset.Rows = 40000
        dataset.save_as(tmp_path / f"{dataset.InstanceNumber - 1:05d}")
    with pytest.raises(ScanError, match="DICOM pixel data must hold 640000 values, got 576 bytes"):
        read_folder(tmp_path)


def test_coded_promise_beyond_any_compression_is_refused(tmp_path: Path) -> None:
    for dataset in write_series(ARRAY, SLANTED, tmp_path):
        dataset.Rows = dataset.Columns = 60000
        dataset.PixelData = encapsulate([b"\1\0\0\0\x40\0\0\0" + b"\0" * 60])
        dataset["PixelData"].VR = "OB"
        save(dataset, tmp_path / f"{dataset.InstanceNumber - 1:05d}", transfer_syntax=RLELossless)
    with pytest.raises(ScanError, match=r"DICOM pixel data must hold 3600000000 values, got [0-9]+ coded bytes"):
        read_folder(tmp_path)


@pytest.mark.parametrize("error", [ValueError, KeyError, AttributeError, RecursionError, OSError, NotImplementedError])
def test_error_of_a_library_becomes_one_of_ours_that_names_only_its_kind(error: type[Exception]) -> None:
    with pytest.raises(
        ScanError, match=f"DICOM header must be whole, got damage reported as {error.__name__}; export it again"
    ) as reported:
        _raise(error("Mustermann"))
    assert "Mustermann" not in str(reported.value)
    assert reported.value.__suppress_context__


def _raise(error: BaseException) -> None:
    with reading_dicom("header"):
        raise error


@pytest.mark.parametrize("error", [ScanError("own"), MemoryError(), KeyboardInterrupt(), GeneratorExit()])
def test_own_errors_and_interrupts_pass(error: BaseException) -> None:
    with pytest.raises(type(error)) as reported:
        _raise(error)
    assert reported.value is error


def test_libraries_are_quiet_about_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """pydicom warns of a value that breaks its type's rules, and quotes it."""
    (dataset, *_) = write_series(ARRAY, SLANTED, tmp_path)
    content = (tmp_path / "00000").read_bytes()
    uid = dataset.StudyInstanceUID.encode()
    (tmp_path / "00000").write_bytes(content.replace(uid, b"Mustermann 1964 0000000000000"[: len(uid)]))
    with warnings.catch_warnings(record=True) as heard, quiet_dicom():
        instance = read_instance(tmp_path / "00000")
        assert instance is not None
    assert "Mustermann" not in caplog.text + "".join(str(one.message) for one in heard)


@pytest.mark.parametrize("kind", ["slice", "enhanced", "mosaic", "seg", "rtstruct", "RLELossless"])
@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_errors_do_not_tell_the_folder(tmp_path: Path, kind: str, kept: float) -> None:
    folder = tmp_path / "Mustermann_Erika_1964"
    content = write_one(kind, folder).read_bytes()
    (folder / "cut").write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(PipelineError) as reported:
        use(folder / "cut")
    assert "Mustermann" not in str(reported.value)
