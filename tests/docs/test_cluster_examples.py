"""Examples for clusters have the form that shell, YAML and the commands ask for."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import click
import pytest
import yaml
from medseg.workflows.train import command

from docs.rooms import ROOT

PAGE = (ROOT / "docs" / "pages" / "several_gpus.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def manifests() -> list[dict[str, Any]]:
    return [one for block in blocks("yaml") for one in yaml.safe_load_all(block)]


def scripts() -> list[str]:
    """Shell blocks, and what the pods of the Job run."""
    pods = [one["spec"]["template"]["spec"] for one in manifests() if one["kind"] == "Job"]
    return [*blocks("sh"), *(text for pod in pods for part in pod["containers"] for text in part["args"])]


def options_of(one: click.Command) -> set[str]:
    return {name for parameter in one.params for name in (*parameter.opts, *parameter.secondary_opts)}


def test_page_has_a_batch_script_and_a_job() -> None:
    assert any(script.startswith("#!/bin/bash\n#SBATCH ") for script in scripts())
    assert [one["kind"] for one in manifests()] == ["Service", "Job"]
    assert sum("torchrun" in script for script in scripts()) == 3


@pytest.mark.parametrize("script", scripts())
def test_scripts_are_shell(script: str) -> None:
    done = subprocess.run(["/bin/bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("script", scripts())
def test_options_of_the_training_exist(script: str) -> None:
    joined = script.replace("\\\n", " ")
    calls = re.findall(r"medseg train (.*)", joined)
    asked = {option for call in calls for option in re.findall(r"--[a-z-]+", call)}
    assert asked <= options_of(command)


def test_pods_of_the_job_find_each_other() -> None:
    service, job = manifests()
    pod = job["spec"]["template"]["spec"]
    name = job["metadata"]["name"]
    assert (service["metadata"]["name"], service["spec"]["selector"]) == (pod["subdomain"], {"job-name": name})
    assert service["spec"]["clusterIP"] == "None"
    assert job["spec"]["completionMode"] == "Indexed"
    assert f"--rdzv-endpoint {name}-0.{pod['subdomain']}:" in pod["containers"][0]["args"][0]
    assert f"--nnodes {job['spec']['completions']} " in pod["containers"][0]["args"][0]
