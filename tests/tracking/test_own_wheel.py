"""medseg travels with its models as a file that pip installs, and is asked of no index."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import medseg
import pytest
from medseg.tracking.own_wheel import pinned_requirements, wheel_name, write_wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wheel(tmp_path_factory.mktemp("wheel") / "code")


def test_wheel_holds_every_file_of_the_library_and_its_commands(wheel: Path) -> None:
    root = Path(medseg.__file__).parent
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    expected = {f"medseg/{path.relative_to(root).as_posix()}" for path in root.rglob("*.py")}
    expected |= {f"medseg/workflows/{path.name}" for path in (root / "workflows").glob("*.py")}
    assert len(names) == len(set(names))
    assert {name for name in names if name.endswith(".py")} == expected
    assert "medseg/py.typed" in names
    assert not [name for name in names if "__pycache__" in name]


def test_record_has_the_digest_of_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (record,) = (name for name in archive.namelist() if name.endswith("/RECORD"))
        lines = [line.rsplit(",", 2) for line in archive.read(record).decode().splitlines()]
        assert [name for name, _, _ in lines] == archive.namelist()
        for name, digest, size in lines[:-1]:
            content = archive.read(name)
            expected = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
            assert (digest, int(size)) == (f"sha256={expected}", len(content))


def test_same_code_is_the_same_file(wheel: Path, tmp_path: Path) -> None:
    assert write_wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_pip_installs_it_without_building(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(tmp_path)]
    subprocess.run([*command, str(wheel)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    code = "import medseg, medseg.workflows.package; print(medseg.__file__)"
    done = subprocess.run([sys.executable, "-c", code], check=True, text=True, env=environment, stdout=subprocess.PIPE)
    assert Path(done.stdout.strip()).parent == tmp_path / "medseg"


def test_requirements_are_pinned_and_medseg_is_not_among_them() -> None:
    pinned = dict(line.split("==") for line in pinned_requirements())
    assert pinned["torch"] == metadata.version("torch").partition("+")[0]
    assert pinned["numba"] == metadata.version("numba")
    assert not [name for name in pinned if "medseg" in name]
    assert "+" not in "".join(pinned.values())
    assert wheel_name().startswith(f"medseg-{medseg.__version__}-")
