"""The git commit of the folder that a run is started in."""

from __future__ import annotations

import shutil
from pathlib import Path

from medseg.tracking.quiet_mlflow import import_mlflow


def working_commit() -> dict[str, str]:
    """The tag by which MLflow shows the commit of the user's own folder; nothing where that is no git repository."""
    if shutil.which("git") is None:  # MLflow would warn of it
        return {}
    import_mlflow()
    from mlflow.utils.git_utils import get_git_commit

    commit = get_git_commit(str(Path.cwd()))
    return {"mlflow.source.git.commit": str(commit)} if commit else {}
