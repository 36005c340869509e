"""medseg itself as a file that travels with a model.

No package index has it, and whoever took its name there could run code wherever a model is installed.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from medseg.version import __version__

_NAME = "medseg"
_LEFT_OUT = ("__pycache__", ".pyc")
_TIME = (1980, 1, 1, 0, 0, 0)  # the same code gives the same file
_ENTRY_POINT = "[console_scripts]\nmedseg = medseg.workflows.cli:main\n"


def wheel_name() -> str:
    """Name of the file, as pip wants it."""
    return f"{_NAME}-{__version__}-py3-none-any.whl"


def write_wheel(folder: Path) -> Path:
    """Write the code that runs now as a wheel, which pip installs without building anything.

    Args:
        folder: Target folder, created if missing.

    Returns:
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / wheel_name()
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in (*_code(), *_description()):
            wheel.writestr(_entry(name), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{name},sha256={digest},{len(content)}\n")
        record = f"{_info()}/RECORD"
        wheel.writestr(_entry(record), "".join([*lines, f"{record},,\n"]))
    return path


def pinned_requirements() -> list[str]:
    """The public packages that medseg needs, each in the version that is installed here; medseg is not among them.

    One that is not installed here is asked for as medseg asks for it.
    """
    return [_pinned(text) for text in _requirements() if "extra ==" not in text]


def _pinned(text: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", text)
    try:
        version = metadata.version(found[0] if found else text)
    except metadata.PackageNotFoundError:
        return text
    public = version.partition("+")[0]  # a build such as 2.13.0+cpu is on no index
    return f"{found[0] if found else text}=={public}"


def _requirements() -> list[str]:
    """What medseg asks for as it is installed; nothing where it is run from its source folder alone.

    A source folder may hold a record of an earlier build, which has no METADATA.
    """
    installed = (one for one in metadata.distributions(name=_NAME) if one.read_text("METADATA"))
    return next((list(one.requires or ()) for one in installed), [])


def _code() -> Iterator[tuple[str, bytes]]:
    """Files of the package; the commands are a link in the source tree."""
    root = Path(__file__).parents[1]
    for folder in (root, root / "workflows"):
        for path in sorted(folder.rglob("*")):
            name = f"{_NAME}/{path.relative_to(root).as_posix()}"
            is_code = path.is_file() and not any(part in name for part in _LEFT_OUT)
            if is_code and (folder != root or not name.startswith(f"{_NAME}/workflows/")):
                yield name, path.read_bytes()


def _description() -> Iterator[tuple[str, bytes]]:
    requires = "".join(f"Requires-Dist: {text}\n" for text in _requirements())
    about = f"Metadata-Version: 2.1\nName: {_NAME}\nVersion: {__version__}\n{requires}"
    wheel = "Wheel-Version: 1.0\nGenerator: medseg\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    texts = {"METADATA": about, "WHEEL": wheel, "entry_points.txt": _ENTRY_POINT}
    for name, text in texts.items():
        yield f"{_info()}/{name}", text.encode()


def _info() -> str:
    return f"{_NAME}-{__version__}.dist-info"


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry
