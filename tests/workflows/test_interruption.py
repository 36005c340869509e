"""Signals that a command is sent."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest
from medseg.workflows import interruption as module
from medseg.workflows.interruption import Interruption


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Codes with which the process would have been ended at once."""
    seen: list[int] = []

    def end(code: int) -> None:
        seen.append(code)
        raise SystemExit(code)

    monkeypatch.setattr(module.os, "_exit", end)
    return seen


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("is_hasty", [False, True])
def test_signal_interrupts_and_gives_the_shell_s_code(
    exits: list[int], number: signal.Signals, code: int, is_hasty: bool
) -> None:
    interruption = Interruption()
    interruption.is_hasty = is_hasty
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), interruption.received():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before
    with pytest.raises(SystemExit) as ended:
        interruption.end()
    assert ended.value.code == code
    assert exits == ([code] if is_hasty else [])  # threads are waited for where nothing was saved


def test_second_signal_ends_a_saved_command_at_once(exits: list[int]) -> None:
    interruption = Interruption()
    interruption.is_hasty = True
    with interruption.received():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(SystemExit):
            os.kill(os.getpid(), signal.SIGTERM)
    assert exits == [143]


def test_command_that_does_not_end_by_itself_is_ended(exits: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that a library swallows must not keep a scheduler waiting until it kills."""
    monkeypatch.setattr(module, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(module.os, "_exit", exits.append)
    interruption = Interruption()
    interruption.is_hasty = True
    with interruption.received():
        with suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
        assert interruption._watch is not None
        interruption._watch.join(10)
    assert exits == [143]
