"""What MLflow is told of a choice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from medseg.delivery.choice import ChoicePage
from medseg.evaluation.segmentation import scoped_metrics
from medseg.manifest import manifest_digest
from medseg.records import Manifest
from medseg.runs.describe import shortened
from medseg.runs.run_folder import RunFolder, spool_of
from medseg.runs.segmentation.choice.candidates import Candidate
from medseg.runs.segmentation.chosen_model import CHOSEN_NAME, ChosenCard
from medseg.runs.tracking import Tracking, log_cases, start_tracking
from medseg.tracking import TrackedRun

STAGE = "choose"
"""Stage of the run, and the folder of its page among its artefacts."""
_FIGURES = ("difference", "low", "high", "corrected_p")


def start_choice_run(
    tracking: Tracking, manifest: Manifest, candidates: Sequence[Candidate], *, out: Path
) -> TrackedRun | None:
    """Start the MLflow run of a choice, tagged with the runs of the trainings; None without tracking.

    Args:
        tracking: Store.
        manifest: Dataset of the choice.
        candidates: Trainings among which is chosen.
        out: Folder of the choice.
    """
    runs = [run for one in candidates if (run := _run_of(one))]
    return start_tracking(
        tracking,
        manifest,
        stage=STAGE,
        name=f"{STAGE} {out.resolve().name}, of {', '.join(one.name for one in candidates)}",
        tags={"medseg.fold": "all-folds"} | ({"medseg.training_run_ids": " ".join(runs)} if runs else {}),
    )


def log_choice(run: TrackedRun, manifest: Manifest, page: ChoicePage, card: ChosenCard, *, folder: Path) -> None:
    """Log what was chosen, the numbers of all that was tried, and the page.

    Args:
        run: Open MLflow run.
        manifest: Dataset of the choice.
        page: The choice.
        card: Card of the chosen model.
        folder: Folder of the choice, with its card, page and tables.
    """
    run.begin(spool_of(folder))
    rules = "; ".join(page.rules) or "none"
    run.log_tags({"medseg.chosen": page.chosen, "medseg.postprocessing": rules})
    run.log_parameters(
        {
            "chosen": page.chosen,
            "postprocessing": rules,
            "networks": len(card.members),
            "cases": page.cases,
            "patients": page.patients,
            "left_out_cases": len(page.left_out),
            "tries": sum(len(step.tries) for step in page.steps),
        }
    )
    left_out = set(page.left_out)
    measured = [case for case in manifest.select("training") if case.has_reference and case.case_id not in left_out]
    log_cases(run, manifest, evaluation=measured)
    run.log_metrics(scoped_metrics(page.result, "val"))
    for one in page.configurations:
        run.log_metrics(scoped_metrics(one.summary, f"tried/{one.name}"))
    run.log_metrics(_gains(page))
    run.log_table(_tried(page), "tries.json")
    for name in (CHOSEN_NAME, "choice.json", "tries.csv"):
        run.log_file(folder / name)
    run.log_file(folder / "index.html", folder=STAGE)
    run.describe(_description(page, manifest, rules))


def _run_of(candidate: Candidate) -> str | None:
    """MLflow run above those of the folds, if it is known."""
    try:
        found = json.loads(RunFolder(candidate.folder).folds.read_text(encoding="utf-8")).get("mlflow_run_id")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None


def _gains(page: ChoicePage) -> dict[str, float]:
    """Difference of each try to what stays otherwise, by step and try."""
    return {f"gain/{step.title}/{one.name}": one.difference.difference for step in page.steps for one in step.tries}


def _tried(page: ChoicePage) -> dict[str, list[Any]]:
    """Every try as a row of a table."""
    rows = [(step, one) for step in page.steps for one in step.tries]
    figures = {name: [getattr(one.difference, name) for _, one in rows] for name in _FIGURES}
    return {
        "step": [step.title for step, _ in rows],
        "try": [one.name for _, one in rows],
        "against": [step.stays for step, _ in rows],
        **figures,
        "verdict": [one.verdict for _, one in rows],
    }


def _description(page: ChoicePage, manifest: Manifest, rules: str) -> str:
    parts = [
        (
            f"**{manifest.name}**: the choice of {page.chosen}, postprocessing: {rules}; by {page.cases} cases of "
            f"{page.patients} patients, each drawn by networks that had not seen the patient."
        ),
        f"```\n{shortened(str(page))}\n```",
        f"{page.rule} The page is `{STAGE}/index.html`, the dataset `{manifest_digest(manifest)[:12]}`.",
    ]
    return "\n\n".join(parts)
