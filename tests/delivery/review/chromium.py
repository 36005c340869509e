"""A headless Chromium that tests drive over a pipe, so that a page is used as a reader uses it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless", "--no-sandbox", "--hide-scrollbars", "--use-gl=angle", "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader", "--no-first-run", "--disable-gpu-sandbox", "--remote-debugging-pipe",
)  # fmt: skip

# Chromium reads commands from file 3 and writes to file 4.
_LAUNCHER = """
import os, sys
read, write = (os.dup(int(number)) for number in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
for number in (3, 4):
    os.set_inheritable(number, True)
os.execv(sys.argv[3], sys.argv[3:])
"""


def chromium() -> str | None:
    """The program; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class NavigatedError(AssertionError):
    """The page was left before it could answer."""


class Page:
    """A page in a browser.

    Attributes:
        problems: Errors and refusals that the page's console showed.
    """

    def __init__(self, process: subprocess.Popen[bytes], write: int, read: int) -> None:
        self.problems: list[str] = []
        self._process, self._write, self._read = process, write, read
        self._number, self._session, self._rest = 0, None, b""

    @classmethod
    @contextmanager
    def opened(cls, path: Path, *flags: str, downloads: Path, size: tuple[int, int] = (1000, 640)) -> Iterator[Self]:
        """Open a file from the disk."""
        to_browser, from_browser = os.pipe(), os.pipe()
        program = chromium()
        assert program is not None
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:  # its children may still write there
            command = [program, *_FLAGS, *flags, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}"]
            process = subprocess.Popen(
                [sys.executable, "-c", _LAUNCHER, str(to_browser[0]), str(from_browser[1]), *command, "about:blank"],
                pass_fds=(to_browser[0], from_browser[1]),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            os.close(to_browser[0])
            os.close(from_browser[1])
            page = cls(process, to_browser[1], from_browser[0])
            try:
                page._attach(path, downloads)
                yield page
            finally:
                process.terminate()
                process.wait(20)
                os.close(to_browser[1])
                os.close(from_browser[0])

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Send one command of the DevTools protocol and give its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": arguments}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        if "navigated" in str(answer.get("error", "")):
            raise NavigatedError(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def run(self, script: str) -> Any:
        """Value of an expression in the page."""
        done = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, script: str, seconds: float = 180) -> None:
        """Wait until an expression is true; a page that loads again while it is asked is asked again."""
        end = time.monotonic() + seconds
        while not self._is_true(script):
            assert time.monotonic() < end, f"{script} must become true; {self.problems}"
            time.sleep(0.1)

    def _is_true(self, script: str) -> bool:
        try:
            return bool(self.run(script))
        except NavigatedError:
            return False

    def click(self, selector: str) -> None:
        """Click the middle of an element with the mouse."""
        place = f"document.querySelector({selector!r}).getBoundingClientRect()"
        self.press(*self.run(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({place})"))

    def press(self, x: float, y: float) -> None:
        """Click at a place of the window."""
        for kind, buttons in (("mouseMoved", 0), ("mousePressed", 1), ("mouseReleased", 0)):
            button = "none" if kind == "mouseMoved" else "left"
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1)

    def key(self, key: str) -> None:
        """Press a key that writes itself."""
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def type(self, text: str) -> None:
        """Type into the element that has the focus."""
        self.call("Input.insertText", text=text)

    def screenshot(self, path: Path) -> None:
        """Write what is seen as a PNG."""
        path.write_bytes(b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def _attach(self, path: Path, downloads: Path) -> None:
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        targets = self.call("Target.getTargets")["targetInfos"]
        target = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=path.absolute().as_uri())

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            block = os.read(self._read, 1 << 20)
            assert block, "the browser must not end"
            self._rest += block
        line, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message

    def _note(self, event: dict[str, Any]) -> None:
        details = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(details["exceptionDetails"])[:500])
        if event.get("method") == "Log.entryAdded" and details["entry"]["level"] == "error":
            self.problems.append(details["entry"]["text"])
        if event.get("method") == "Runtime.consoleAPICalled" and details["type"] == "error":
            self.problems.append(str([part.get("value") or part.get("description") for part in details["args"]]))
