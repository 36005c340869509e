"""Prepare cases in threads, into a store keyed by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

from medseg.errors import PipelineError
from medseg.records import Case, Failure
from medseg.scans import pair_of

Result = TypeVar("Result")


def prepare_each(
    cases: Sequence[Case],
    prepare: Callable[[Case], Result],
    *,
    workers: int,
    on_done: Callable[[str], None] = lambda case_id: None,
) -> tuple[tuple[Result, ...], tuple[Failure, ...]]:
    """Prepare cases in threads; what came of them and what failed, both in the order asked for."""
    done: dict[str, Result] = {}
    failures: dict[str, Failure] = {}
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures: dict[Future[Result], str] = {pool.submit(prepare, case): case.case_id for case in cases}
        for future in as_completed(futures):
            case_id = futures[future]
            try:
                done[case_id] = future.result()
            except (PipelineError, MemoryError, RuntimeError) as error:
                failures[case_id] = Failure.of(case_id, "prepare", error)
            on_done(case_id)
    ids = [case.case_id for case in cases]
    return (
        tuple(done[case_id] for case_id in ids if case_id in done),
        tuple(failures[case_id] for case_id in ids if case_id in failures),
    )


def content_key(settings: dict[str, Any], files: Sequence[Path]) -> str:
    """32 hexadecimal digits over settings and the bytes of files, both of an `.hdr/.img` pair."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for file in files:
        for path in pair_of(file):
            digest.update(b"file")
            if path.is_file():
                with path.open("rb") as stream:
                    digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:32]
