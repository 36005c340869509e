"""What a list of paths means to a network: cases to predict, how they are read, and what is passed over."""

from __future__ import annotations

from medseg.inference.inputs.case_input import CaseInput, FoundInputs, InputChoice, PassedOver, RefusedInput
from medseg.inference.inputs.channels import check_channels, warn_of_constant
from medseg.inference.inputs.digest import input_digest
from medseg.inference.inputs.find_inputs import find_inputs, is_manifest
from medseg.inference.inputs.read_input import read_input

__all__ = [
    "CaseInput",
    "FoundInputs",
    "InputChoice",
    "PassedOver",
    "RefusedInput",
    "check_channels",
    "find_inputs",
    "input_digest",
    "is_manifest",
    "read_input",
    "warn_of_constant",
]
