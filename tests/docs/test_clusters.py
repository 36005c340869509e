"""The examples of the page about clusters have the form that SLURM, Kubernetes and medseg ask for."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from medseg.workflows.predict import command

PAGE = (Path(__file__).parents[2] / "docs/pages/clusters.md").read_text(encoding="utf-8")


def example(title: str) -> str:
    found = re.search(rf'^```\w+ title="{re.escape(title)}"\n(.*?)^```', PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def ray_start_options() -> set[str]:
    from ray.scripts.scripts import start

    return {name for parameter in start.params for name in parameter.opts}


@pytest.fixture
def job() -> Any:
    return yaml.safe_load(example("predict.yaml"))


def is_prediction_on_the_cluster(line: str) -> bool:
    """Whether a line is a prediction whose options `medseg predict` knows."""
    verb, *rest = shlex.split(line)[1:]
    known = {name for parameter in command.params for name in parameter.opts}
    asked = {word for word in rest if word.startswith("--")}
    return verb == "predict" and asked <= known and rest[rest.index("--cluster") + 1] == "auto"


def test_job_of_kubernetes_has_the_parts_of_a_ray_job(job: Any) -> None:
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    assert is_prediction_on_the_cluster(job["spec"]["entrypoint"])
    cluster = job["spec"]["rayClusterSpec"]
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


def test_all_pods_have_one_image_and_one_volume(job: Any) -> None:
    cluster = job["spec"]["rayClusterSpec"]
    pods = [group["template"]["spec"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]
    containers = [container for pod in pods for container in pod["containers"]]
    assert len({container["image"] for container in containers}) == 1
    assert len({str(container["volumeMounts"]) for container in containers}) == 1
    assert len({str(pod["volumes"]) for pod in pods}) == 1
    (mount,) = containers[0]["volumeMounts"]
    paths = [word for word in shlex.split(job["spec"]["entrypoint"]) if word.startswith("/")]
    assert all(path.startswith(mount["mountPath"]) for path in paths)


def test_head_of_kubernetes_draws_no_masks(job: Any) -> None:
    start = job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]
    assert start["num-cpus"] == "0"
    assert {f"--{name}" for name in start} <= ray_start_options()


def test_script_of_slurm_is_one_that_a_shell_reads() -> None:
    done = subprocess.run(["bash", "-n"], input=example("predict.sbatch"), capture_output=True, text=True, check=True)  # noqa: S607
    assert done.stderr == ""


def test_script_of_slurm_uses_options_that_exist() -> None:
    lines = example("predict.sbatch").replace("\\\n", " ").splitlines()
    starts = [line.split("ray start", 1)[1] for line in lines if "ray start" in line]
    options = {word.split("=", 1)[0] for line in starts for word in line.split() if word.startswith("--")}
    assert len(starts) == 2
    assert options <= ray_start_options()
    assert is_prediction_on_the_cluster(next(line for line in lines if line.startswith("medseg ")))
