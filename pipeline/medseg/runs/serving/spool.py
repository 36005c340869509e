"""The folder of running requests: nothing of a request stays there, and nothing of a server that was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from medseg.atomic import check_writable, is_leftover, temporary_name
from medseg.errors import ConfigError
from medseg.inference.folder_lock import locked_folder

_OPEN = stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def opened_spool(folder: Path | None) -> Iterator[Path]:
    """An empty folder that is the server's own, below one that several servers may share; gone afterwards.

    Args:
        folder: Folder of all servers of this user, created if missing; one in the system's temporary folder if not
            given.

    Raises:
        ConfigError: If the folder is a link, or other users can reach what is in it.
        DeliveryError: If it cannot be written.
    """
    base = folder or Path(tempfile.gettempdir()) / f"medseg_serve_{os.geteuid()}"
    check_writable(base, option="work-folder")
    base.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    _check_private(base)
    own = base / temporary_name()
    with ExitStack() as held:
        with locked_folder(base, is_awaited=True):  # so that no other server takes the new folder for a leftover
            _remove_leftovers(base)
            own.mkdir(mode=stat.S_IRWXU)
            held.enter_context(locked_folder(own))
        try:
            yield own
        finally:
            shutil.rmtree(own, ignore_errors=True)


def _check_private(base: Path) -> None:
    found = base.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & _OPEN:
        raise ConfigError(
            f"folder {base} must be a folder that its owner alone can enter, since scans lie there",
            remedy="take its permissions away from others, or choose another with the option work-folder",
        )


def _remove_leftovers(base: Path) -> None:
    """Remove the folders of servers that do not run any more."""
    for path in tuple(base.iterdir()):
        if is_leftover(path) and path.is_dir() and not path.is_symlink() and _is_abandoned(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    """Whether no process holds a folder; not known, and so False, where the file system has no locks."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # its server has ended just now
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
