"""The cluster of one command: nobody outside can reach it, and an interrupt leaves nothing of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

COMMAND = """
import sys
from pathlib import Path
from medseg.cohort import run_cases
from medseg.cohort.cluster import RayExecutor, opened_cluster
from tests.cohort.cluster.cluster_works import Deadly, die

folder = Path(sys.argv[1])
with opened_cluster("local", out=folder / "out", cores=1) as cluster:
    run_cases([Deadly("slow", folder, seconds=600)], die, stage="wait", executor=RayExecutor(cluster))
"""
PATIENCE_S = 120


def test_local_cluster_listens_on_loopback_only_and_an_interrupt_ends_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="m", dir="/tmp") as scratch:  # a socket's path must be short
        monkeypatch.setenv("TMPDIR", scratch)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        with subprocess.Popen(
            [sys.executable, "-c", COMMAND, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as command:
            end = time.monotonic() + PATIENCE_S
            while not (tmp_path / "slow" / "1").exists():
                assert time.monotonic() < end
                assert command.poll() is None, command.communicate()
                time.sleep(0.1)
            processes = [psutil.Process(command.pid), *psutil.Process(command.pid).children(recursive=True)]
            hosts = {
                connection.laddr.ip.removeprefix("::ffff:")
                for process in processes
                for connection in process.net_connections("tcp")
                if connection.status == psutil.CONN_LISTEN
            }
            assert hosts == {"127.0.0.1"}
            os.killpg(command.pid, signal.SIGINT)  # as a terminal does
            out, err = command.communicate(timeout=PATIENCE_S)
        assert "KeyboardInterrupt" in err.splitlines()[-1]
        assert out == ""
        _, alive = psutil.wait_procs(processes, timeout=PATIENCE_S)
        assert alive == []
        assert list(Path(scratch).iterdir()) == []
        assert list((tmp_path / "out").iterdir()) == []
