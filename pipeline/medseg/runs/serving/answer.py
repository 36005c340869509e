"""Results as clients get them: the mask's file itself, everything in one zip, or everything in one JSON text."""

from __future__ import annotations

import base64
import json
import zipfile
from collections.abc import AsyncIterator
from enum import StrEnum

from fastapi.responses import FileResponse, Response, StreamingResponse

from medseg.inference.requests.file_name import file_name
from medseg.inference.segmentation.serving import DrawnMask
from medseg.inference.sidecar import Sidecar
from medseg.runs.serving.served_model import SliceAnswer

_PIECE = 3 << 16  # a multiple of 3, so that pieces of base64 text join
_LONGEST_HEADER = 1000
_MEDIA = {".gz": "application/gzip", ".png": "image/png"}
_ZIP = "answer.zip"


class Form(StrEnum):
    """Form of an answer with a mask."""

    MASK = "mask"
    ZIP = "zip"
    JSON = "json"


def finish_form(drawn: DrawnMask, form: Form) -> None:
    """Write what the form of an answer needs beside the mask, in the thread of the work.

    Args:
        drawn: Mask in the folder of its request.
        form: Form of the answer.
    """
    if form is not Form.ZIP:
        return
    with zipfile.ZipFile(drawn.path.with_name(_ZIP), "w") as archive:
        archive.write(drawn.path, drawn.sidecar.mask)
        archive.writestr(f"{drawn.sidecar.case_id}.json", json.dumps(drawn.sidecar.model_dump(mode="json"), indent=2))


def answer(result: DrawnMask | SliceAnswer, form: Form, *, name: str = "") -> Response:
    """The answer with a result; its files must stay until it is sent.

    Args:
        result: Result of a request.
        form: Form of an answer with a mask; probabilities are always JSON.
        name: Name that the client gave, which its headers may hold; no word of the scan's own is in them.
    """
    if isinstance(result, SliceAnswer):
        return Response(result.model_dump_json(), media_type="application/json")
    stem = file_name(name, b"")[0] if name else "mask"
    headers = _headers(result.sidecar)
    if form is Form.JSON:
        return StreamingResponse(_json(result), media_type="application/json", headers=headers)
    if form is Form.ZIP:
        path = result.path.with_name(_ZIP)
        return FileResponse(path, filename=f"{stem}.zip", media_type="application/zip", headers=headers)
    media = _MEDIA.get(result.path.suffix, "application/octet-stream")
    ending = ".nii.gz" if result.path.suffix == ".gz" else result.path.suffix
    return FileResponse(result.path, filename=f"{stem}{ending}", media_type=media, headers=headers)


async def _json(drawn: DrawnMask) -> AsyncIterator[str]:
    """The sidecar's fields, and the mask's file as base64 text under `mask_base64`, piece by piece."""
    fields = json.dumps(drawn.sidecar.model_dump(mode="json"), ensure_ascii=False)
    yield f'{fields[:-1]}, "mask_base64": "'
    with drawn.path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield base64.b64encode(piece).decode()
    yield '"}\n'


def _headers(sidecar: Sidecar) -> dict[str, str]:
    """Kinds of flags, volumes and provenance, as far as they are short."""
    flags = ",".join(dict.fromkeys(flag.kind for flag in sidecar.flags))
    volumes = json.dumps(sidecar.volume_ml)
    found = {
        "X-Medseg-Flags": flags,
        "X-Medseg-Weights": ",".join(model.weights_digest or "" for model in sidecar.models),
        "X-Medseg-Software": sidecar.software,
    }
    if len(volumes) <= _LONGEST_HEADER:
        found["X-Medseg-Volumes-Ml"] = volumes
    return {key: value for key, value in found.items() if len(value) <= _LONGEST_HEADER}
