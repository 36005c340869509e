"""The bare network as ONNX, held against the network itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medseg.lazy import lazy_names

if TYPE_CHECKING:
    from medseg.delivery.onnx_model.export import OnnxNetwork, check_onnx_packages, export_onnx
    from medseg.delivery.onnx_model.record import OnnxAgreement, OnnxRecord
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "OnnxAgreement": "record",
            "OnnxNetwork": "export",
            "OnnxRecord": "record",
            "check_onnx_packages": "export",
            "export_onnx": "export",
        },
    )

__all__ = ["OnnxAgreement", "OnnxNetwork", "OnnxRecord", "check_onnx_packages", "export_onnx"]
