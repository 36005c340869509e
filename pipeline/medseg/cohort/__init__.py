"""One runner for many cases: a case that fails is listed, and the others are delivered."""

from medseg.cohort.executors import (
    SERIAL,
    TWO_THREADS,
    Executor,
    LostItem,
    ProcessExecutor,
    SerialExecutor,
    ThreadExecutor,
    map_in_order,
)
from medseg.cohort.pipeline import Stages, pipeline_cases
from medseg.cohort.run_cases import CASE_ERRORS, CaseOutcome, Done, HasCaseId, iterate_cases, run_cases

__all__ = [
    "CASE_ERRORS",
    "SERIAL",
    "TWO_THREADS",
    "CaseOutcome",
    "Done",
    "Executor",
    "HasCaseId",
    "LostItem",
    "ProcessExecutor",
    "SerialExecutor",
    "Stages",
    "ThreadExecutor",
    "iterate_cases",
    "map_in_order",
    "pipeline_cases",
    "run_cases",
]
