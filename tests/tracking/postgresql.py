"""A throw-away PostgreSQL cluster, as Debian's packages bring it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tracking.mlflow_server import free_port

PASSWORD = "geheim-7261"  # noqa: S105


class Cluster:
    """A PostgreSQL server on this machine with one empty database.

    Args:
        folder: Empty folder, which the owner of the server can read.
    """

    def __init__(self, folder: Path) -> None:
        self._binaries, self._folder, self._port = find_binaries(), folder, free_port()
        self.uri = f"postgresql://medseg:{PASSWORD}@127.0.0.1:{self._port}/postgres"
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(folder, "postgres", "postgres")
        (folder / "password").write_text(PASSWORD, encoding="utf-8")
        (folder / "password").chmod(0o644)
        self._run("initdb", "-U", "medseg", "-A", "scram-sha-256", "--pwfile", str(folder / "password"))

    def start(self) -> None:
        """Start it, or bring it back."""
        settings = f"-c listen_addresses=127.0.0.1 -c port={self._port} -c unix_socket_directories={self._folder}"
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o", settings, "start")

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if (self._folder / "data" / "postmaster.pid").exists():
            self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def new_database(self, name: str) -> str:
        """URI of one more empty database."""
        import psycopg

        with psycopg.connect(self.uri, autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("create database {}").format(psycopg.sql.Identifier(name)))
        return f"{self.uri.removesuffix('/postgres')}/{name}"

    def _run(self, name: str, *options: str) -> None:
        """Run a program of PostgreSQL as this user, or as Debian's `postgres` where this one is root."""
        prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*prefix, str(self._binaries / name), "-D", str(self._folder / "data"), *options]
        subprocess.run(command, cwd="/", check=True, stdout=subprocess.DEVNULL, timeout=60)


def find_binaries() -> Path:
    """Folder of `initdb` and `pg_ctl`, which Debian keeps away from the PATH; without it the test is skipped."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = found[-1] if found else shutil.which("initdb")
    if initdb is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return Path(initdb).resolve().parent


@contextmanager
def postgresql() -> Iterator[Cluster]:
    """A cluster that runs, and is gone afterwards whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix="medseg-pg-"))  # not in pytest's folder, which nobody else can read
    try:
        cluster = Cluster(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
