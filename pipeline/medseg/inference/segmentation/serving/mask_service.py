"""Masks for requests: every request has a folder of its own, and nothing of it stays."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from medseg.cohort import CASE_ERRORS
from medseg.errors import PipelineError, ScanError
from medseg.inference.inputs import CaseInput
from medseg.inference.record import load_record
from medseg.inference.requests import RequestLimits, ScanRequest, only_case, unpacked
from medseg.inference.segmentation.mask_model import MaskModel
from medseg.inference.segmentation.predict_cases import predict_cases
from medseg.inference.segmentation.serving.mask_answer import MaskAnswer
from medseg.inference.segmentation.serving.network_size import check_network_size
from medseg.targets import regions_of


class MaskService:
    """Answers requests with masks, as `predict_cases` draws them.

    Requests may come from several threads; the network serves one at a time.

    Args:
        model: Loaded model.
        root: Folder below which requests may name paths; None if they must hold bytes.
        limits: Limits of each request; the usual ones if not given.
    """

    def __init__(self, model: MaskModel, *, root: Path | None = None, limits: RequestLimits | None = None) -> None:
        self.model, self.root, self.limits = model, root, limits or RequestLimits()
        self._faster: MaskModel | None = None
        self._lock = Lock()

    def answer(self, requests: Sequence[ScanRequest | ScanError], *, fast: bool = False) -> list[MaskAnswer]:
        """Draw the masks of requests; one that fails has its reason in its answer and does not stop the others.

        Args:
            requests: Requests, or the reasons why rows make none.
            fast: Whether speed counts more than the last bit of accuracy.

        Returns:
            An answer for each request, in order.
        """
        return [self._answer(request, fast=fast) for request in requests]

    def _answer(self, request: ScanRequest | ScanError, *, fast: bool) -> MaskAnswer:
        if isinstance(request, ScanError):
            return self._failed("", request.statement)
        try:
            with (
                unpacked(request, root=self.root, limits=self.limits) as place,
                tempfile.TemporaryDirectory() as out,
            ):
                case = only_case(place, channels=self.model.channels, limits=self.limits)
                check_network_size(self.model, case, self.limits)
                return self._without_place(self._draw(case, Path(out), fast=fast), place.parent)
        except PipelineError as error:
            return self._failed(error.case_id or request.name, error.statement)
        except CASE_ERRORS as error:  # without their words, which may be of the server's own files
            told = error.strerror if isinstance(error, OSError) else None
            return self._failed(request.name, told or type(error).__name__)

    def _draw(self, case: CaseInput, out: Path, *, fast: bool) -> MaskAnswer:
        with self._lock:
            drawn, failures = predict_cases(self._model(fast=fast), [case], out)
        record = load_record(out)
        if not drawn or record is None:
            return self._failed(case.case_id, "; ".join(one.reason for one in failures))
        (entry,) = record.cases
        return MaskAnswer(
            case=case.case_id,
            mask=base64.b64encode(drawn[0].mask_path.read_bytes()).decode(),
            file=entry.mask,
            labels=self.model.labels,
            regions=regions_of(self.model.target),
            volumes_ml=entry.volume_ml,
            flags=entry.flags,
        )

    def _model(self, *, fast: bool) -> MaskModel:
        if not fast:
            return self.model
        self._faster = self._faster or self.model.faster()
        return self._faster

    def _failed(self, case: str, reason: str) -> MaskAnswer:
        return MaskAnswer(case=case, labels=self.model.labels, regions=regions_of(self.model.target), error=reason)

    def _without_place(self, answer: MaskAnswer, place: Path) -> MaskAnswer:
        """The answer without the path of its temporary folder, or of the machine's folder of scans."""
        if answer.error is None:
            return answer
        return answer.model_copy(update={"error": answer.error.replace(f"{place}/", "")})
