#!/usr/bin/env python3
"""Two hundred requests of eight clients at once to `medseg serve`, among them broken, huge, slow and unknown ones.

    python benchmarks/serve.py RUN SCANS [--requests 200] [--clients 8]

RUN is a training of one channel, SCANS a folder of its scans. Every mask must be, byte for byte, that of
`medseg predict`, and every other request must end with its status. An audit hook in the server lists every path that
Python opens, makes, moves or removes once the server runs; those outside its own folder are printed. The exit status is
1 if anything differs.
"""

from __future__ import annotations

import argparse
import atexit
import http.client
import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import NamedTuple

import psutil

TOKEN = "a token for two hundred requests"  # noqa: S105  # of this benchmark alone
KNOWN = {"Authorization": f"Bearer {TOKEN}"}
MOST_BODY = 32 * 2**20
EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir", "os.symlink", "os.link")
Address = tuple[str, int]


class Ended(NamedTuple):
    """What came of a request.

    Attributes:
        kind: Name of its kind.
        is_right: Whether it ended as it must.
        seconds: Time that it took.
    """

    kind: str
    is_right: bool
    seconds: float


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--server"]:
        serve(Path(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("scans", type=Path)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    arguments = parser.parse_args()
    scans = sorted(arguments.scans.glob("[!.]*.nii.gz"))[:40]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        expected = predicted(arguments.run, scans, folder / "masks")
        sys.exit(measure(arguments, scans, expected, folder))


def predicted(run: Path, scans: list[Path], out: Path) -> dict[str, bytes]:
    """Masks of `medseg predict` by the names of the scans."""
    command = [sys.executable, "-m", "medseg.workflows.cli", "predict", run, *scans, "--out", out, "--device", "cpu"]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    return {path.name: path.read_bytes() for path in out.glob("*.nii.gz")}


def measure(arguments: argparse.Namespace, scans: list[Path], expected: dict[str, bytes], folder: Path) -> int:
    """Run the server and the clients; 1 if anything differs."""
    work, opened = folder / "work", folder / "opened.json"
    options = ["--port", "0", "--device", "cpu", "--work-folder", work, "--most-body-bytes", MOST_BODY]
    command = [sys.executable, __file__, "--server", opened, arguments.run, *options]
    before = {place: listing(place) for place in (arguments.run, arguments.scans, Path.cwd())}
    process = subprocess.Popen(
        list(map(str, command)),
        env={**os.environ, "MEDSEG_TOKEN": TOKEN, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = address_of(process)
    atexit.register(process.kill)
    good(scans[0], expected, address)  # what is loaded once
    begin, start_bytes, done = time.time(), psutil.Process(process.pid).memory_info().rss, Event()
    peak = [start_bytes]
    watcher = Thread(target=watch_memory, args=(process.pid, peak, done), daemon=True)
    watcher.start()
    ended = run_clients(address, scans, expected, arguments)
    seconds = time.time() - begin
    done.set()
    watcher.join()
    left = leftovers(work)
    process.terminate()
    _, log = process.communicate(timeout=120)
    elsewhere = outside(json.loads(opened.read_text()), begin, work)
    changed = [str(place) for place, listed in before.items() if listing(place) != listed]
    print_table(ended)
    print(f"\n{len(ended)} requests of {arguments.clients} clients in {seconds:.1f} s; exit {process.returncode}")
    print(f"memory: {start_bytes / 2**20:.0f} MiB before, {peak[0] / 2**20:.0f} MiB at the peak")
    print(f"folders of requests left: {left}; folders changed: {changed}; work folder: {list(work.iterdir())}")
    print(f"paths outside the work folder: {elsewhere}")
    print(f"names of scans in the log: {sum(path.name.split('.')[0] in log for path in scans)}")
    is_wrong = not all(one.is_right for one in ended) or left or changed or elsewhere or process.returncode
    return int(bool(is_wrong))


def serve(record: Path, arguments: list[str]) -> None:
    """`medseg serve` with a record of the paths that Python uses."""
    used: list[tuple[float, str, str]] = []

    def note(event: str, details: tuple[object, ...]) -> None:
        if event in EVENTS:
            paths = details[:2] if event in ("os.rename", "os.symlink", "os.link") else details[:1]
            used.extend((time.time(), event, os.fsdecode(path)) for path in paths if isinstance(path, str | bytes))
            used.extend((time.time(), event, str(path)) for path in paths if isinstance(path, os.PathLike))

    sys.addaudithook(note)
    atexit.register(lambda: record.write_text(json.dumps(used)))
    from medseg.workflows.cli import main as medseg

    sys.argv = ["medseg", "serve", *arguments]
    medseg()


def address_of(process: subprocess.Popen[str]) -> Address:
    """Where the server listens."""
    for line in process.stdout or ():
        if line.startswith("on http://"):
            return "127.0.0.1", int(line.split(",")[0].rsplit(":", 1)[1])
    sys.exit(f"serve.py: the server must begin, got: {process.stderr.read() if process.stderr else ''}")


def watch_memory(pid: int, peak: list[int], done: Event) -> None:
    """Keep the largest resident memory."""
    process = psutil.Process(pid)
    while not done.wait(0.02):
        peak[0] = max(peak[0], process.memory_info().rss)


def run_clients(
    address: Address, scans: list[Path], expected: dict[str, bytes], arguments: argparse.Namespace
) -> list[Ended]:
    """All requests in a random order."""
    small, rng = scans[0].read_bytes(), random.Random(0)  # noqa: S311  # an order
    bad: list[tuple[str, Callable[[Address], bool]]] = [
        ("torn scan", partial(answered, body=small[: len(small) // 2], status=422)),
        ("no scan", partial(answered, body=b"hello", status=422)),
        ("without the token", partial(answered, body=small, status=401, headers={})),
        ("body too large", partial(answered, body=bytes(2 * MOST_BODY), status=413)),
        ("body too large, of unknown length", partial(endless, status=413)),
        ("zip of 3 GB of zeros", partial(answered, body=zip_of_zeros(), status=422)),
        ("zip of two scans", partial(answered, body=zipped({"a.nii.gz": small, "b.nii.gz": small}), status=422)),
        ("page of another site", partial(answered, body=small, status=403, headers=KNOWN | {"Origin": "http://x"})),
        ("client that leaves while it sends", partial(leaves, length=10**6)),
        ("client that leaves before the answer", partial(leaves, length=len(small), body=small)),
    ]
    good_ones = [("scan", partial(good, path, expected)) for path in scans]
    path = scans[1]
    evil = partial(answered, body=zipped({f"../../../{path.name}": path.read_bytes()}), mask=expected[path.name])
    good_ones.append(("zip whose names lead out", evil))
    count = arguments.requests // 4
    chosen = [bad[n % len(bad)] for n in range(count)] + [
        good_ones[n % len(good_ones)] for n in range(arguments.requests - count)
    ]
    rng.shuffle(chosen)
    with ThreadPoolExecutor(arguments.clients) as pool:
        return list(pool.map(lambda one: timed(one[0], one[1], address), chosen))


def timed(kind: str, request: Callable[[Address], bool], address: Address) -> Ended:
    """One request."""
    start = time.perf_counter()
    is_right = request(address)
    return Ended(kind, is_right, time.perf_counter() - start)


def good(scan: Path, expected: dict[str, bytes], address: Address) -> bool:
    """Whether a scan is answered with its mask."""
    return answered(address, body=scan.read_bytes(), mask=expected[scan.name])


def answered(
    address: Address,
    *,
    body: bytes | Iterator[bytes],
    status: int = 200,
    mask: bytes | None = None,
    headers: dict[str, str] = KNOWN,
) -> bool:
    """Whether a request is answered with a status, and perhaps a mask."""
    connection = http.client.HTTPConnection(*address, timeout=300)
    try:
        connection.request("POST", "/predict", body, headers)
    except ConnectionError:  # the answer came while the body was sent
        if status == 200:
            return False
    try:
        answer = connection.getresponse()
        content = answer.read()
    except (ConnectionError, http.client.HTTPException):
        return status == 413
    finally:
        connection.close()
    return answer.status == status and (mask is None or content == mask)


def endless(address: Address, *, status: int) -> bool:
    """Whether a body without a length is refused once it is too large."""
    pieces = (bytes(2**20) for _ in range(3 * MOST_BODY // 2**20))
    return answered(address, body=pieces, status=status)


def leaves(address: Address, *, length: int, body: bytes = b"begin") -> bool:
    """A client that closes its connection."""
    with socket.create_connection(address) as connection:
        head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Length: {length}"
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        time.sleep(0.05)
    return True


def zipped(contents: dict[str, bytes]) -> bytes:
    """A zip of files."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in contents.items():
            archive.writestr(name, part)
    return content.getvalue()


def zip_of_zeros() -> bytes:
    """A small zip that becomes 3 GB."""
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.nii", "w", force_zip64=True) as stream,
    ):
        for _ in range(3 * 2**10):
            stream.write(bytes(2**20))
    return content.getvalue()


def outside(used: list[tuple[float, str, str]], begin: float, work: Path) -> list[str]:
    """Paths outside the folder of the server, and that are no part of Python, that it used after a time.

    Names without a folder are those of a folder that is being removed, which Python goes through by its descriptor.
    """
    own = (str(work), sys.prefix, sys.base_prefix, str(Path(__file__).parents[1]), "/proc/", "/sys/")
    return sorted(
        {
            f"{event} {path}"
            for at, event, path in used
            if at > begin and path.startswith("/") and not path.startswith(own)
        }
    )


def listing(folder: Path) -> list[tuple[str, int, int]]:
    """Everything in a folder with sizes and times."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    return [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in found]


def leftovers(work: Path) -> list[str]:
    """Folders of requests that are there once all clients have gone, and the server has had time to see it."""
    for _ in range(100):
        if not list(work.glob("*/*")):
            return []
        time.sleep(0.1)
    return [path.name for path in work.glob("*/*")]


def print_table(ended: list[Ended]) -> None:
    """A line for each kind of request."""
    kinds: dict[str, list[Ended]] = defaultdict(list)
    for one in ended:
        kinds[one.kind].append(one)
    print("| request | count | as it must | median, s | 95 %, s | longest, s |\n| --- | --- | --- | --- | --- | --- |")
    for kind, ones in sorted(kinds.items(), key=lambda item: -len(item[1])):
        times = sorted(one.seconds for one in ones)
        late = times[min(len(times) - 1, round(0.95 * len(times)))]
        right = sum(one.is_right for one in ones)
        print(f"| {kind} | {len(ones)} | {right} | {median(times):.2f} | {late:.2f} | {times[-1]:.2f} |")


if __name__ == "__main__":
    main()
