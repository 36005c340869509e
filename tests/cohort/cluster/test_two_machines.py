"""A cluster of two machines, both of them here; the last test takes one of them away."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from medseg.cohort import Done, run_cases
from medseg.cohort.cluster import Cluster, RayExecutor, opened_cluster
from medseg.errors import ClusterError
from medseg.inference import CaseInput
from medseg.inference.segmentation import predict_cases
from medseg.inference.segmentation.mask_work import Elsewhere

from tests.cohort.cluster.cluster_works import CountedModel, Deadly, die, hungry, meet
from tests.cohort.test_every_loop import Place, place, segmenter
from tests.cohort.works import CAUGHT, Numbered, double, misspelt

__all__ = ["place"]
MIXED = [*(Numbered(f"c{n}", n) for n in range(8)), *(Numbered(f"bad {kind}", 0, kind) for kind in CAUGHT)]


@pytest.fixture(scope="module")
def machines() -> Iterator[Any]:
    """Two machines of one core each."""
    from ray.cluster_utils import Cluster as Machines

    options = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    machines = Machines(initialize_head=True, head_node_args=options)
    machines.add_node(**options)
    yield machines
    machines.shutdown()


@pytest.fixture(scope="module")
def cluster(machines: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with opened_cluster(machines.address, out=tmp_path_factory.mktemp("out")) as cluster:
        yield cluster


def count(cases: list[Any], work: Any, cluster: Cluster, **choices: Any) -> Done[Any]:
    return run_cases(cases, work, stage="count", executor=RayExecutor(cluster, **choices))


def test_results_and_failures_are_those_of_this_process(cluster: Cluster) -> None:
    seen: list[str] = []
    executor = RayExecutor(cluster)
    assert run_cases(MIXED, double, stage="count", executor=executor, on_done=seen.append) == run_cases(
        MIXED, double, stage="count"
    )
    assert sorted(seen) == sorted(case.case_id for case in MIXED)


def test_each_machine_does_its_part_in_this_folder_and_its_warnings_are_logged_here(
    cluster: Cluster, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        met = count([Deadly("c0", tmp_path), Deadly("c1", tmp_path)], meet, cluster).results
    assert len({os.getpid(), *(process for process, _ in met)}) == 3
    assert {folder for _, folder in met} == {str(Path.cwd())}
    assert sorted(caplog.messages) == ["case c0: its header is odd", "case c1: its header is odd"]


def test_mistake_in_the_code_surfaces_with_its_own_type_and_line(cluster: Cluster) -> None:
    with pytest.raises(KeyError, match="nmber") as caught:
        count(MIXED, misspelt, cluster)
    assert "works.py" in str(caught.value)


def test_case_that_ends_its_workers_is_listed_and_the_others_are_done(cluster: Cluster, tmp_path: Path) -> None:
    cases = [Deadly(f"c{n}", tmp_path, deaths={1: 99, 2: 1}.get(n, 0)) for n in range(4)]
    done = count(cases, die, cluster, at_once=2)
    assert done.case_ids == ("c0", "c2", "c3")
    (failure,) = done.failures
    assert failure.reason.startswith("case c1: its workers must live until it is done, got 3 that died")
    assert len(list((tmp_path / "c1").iterdir())) == 3


def test_case_that_lacks_memory_is_tried_again_with_less_beside_it(cluster: Cluster, tmp_path: Path) -> None:
    cases = [Deadly("c0", tmp_path, deaths=2), Deadly("c1", tmp_path, deaths=99), Deadly("c2", tmp_path)]
    done = count(cases, hungry, cluster)
    assert done.by_id() == {"c0": 3, "c2": 1}
    assert [failure.case_id for failure in done.failures] == ["c1"]
    assert "memory must hold it" in done.failures[0].reason
    assert len(list((tmp_path / "c1").iterdir())) == 3


def test_closing_ends_the_workers(cluster: Cluster, tmp_path: Path) -> None:
    begun = RayExecutor(cluster).run(die, [Deadly("quick", tmp_path), *[Deadly("slow", tmp_path, seconds=600)] * 3])
    assert next(begun) == (0, 1)
    begun.close()
    end = time.monotonic() + 60
    while cluster.ray.available_resources().get("CPU", 0) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    assert cluster.ray.available_resources()["CPU"] == 2


def test_masks_are_those_of_this_process_and_finished_ones_are_kept(
    cluster: Cluster, place: Place, tmp_path: Path
) -> None:
    here, there, marks = tmp_path / "here", tmp_path / "there", tmp_path / "marks"
    marks.mkdir()
    broken = place.root / "broken.nii.gz"
    broken.write_bytes(b"no scan")
    inputs = [place.inputs[0], CaseInput("broken", (broken,)), *place.inputs[1:]]
    one, failed_here = predict_cases(segmenter(), inputs, here, has_page=True)
    predict_cases(segmenter(), inputs[:1], there, has_page=True)
    drawn = (there / "a.nii.gz").stat().st_mtime_ns
    elsewhere = Elsewhere(CountedModel(marks), RayExecutor(cluster, "device", at_once=3))
    two, failed_there = predict_cases(segmenter(), inputs, there, has_page=True, elsewhere=elsewhere)
    assert [(mask.case_id, mask.is_kept) for mask in two] == [("a", True), ("b", False), ("c", False)]
    assert [mask.case_id for mask in one] == ["a", "b", "c"]
    assert failed_there == failed_here
    assert (there / "a.nii.gz").stat().st_mtime_ns == drawn
    names = {str(path.relative_to(here)) for path in here.rglob("*") if path.is_file()}
    assert {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()} == names
    for name in names:
        if name.endswith((".nii.gz", ".png")):
            assert (here / name).read_bytes() == (there / name).read_bytes(), name
    assert without_times(there / "predictions.json") == without_times(here / "predictions.json")
    assert 1 <= len(list(marks.iterdir())) <= 2  # a model is loaded once in a process


def without_times(path: Path) -> Any:
    """A record without what differs from one run to the next."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            times = {"seconds", "peak_memory_bytes", "date"}
            return {key: cleaned(item) for key, item in value.items() if key not in times}
        return [cleaned(item) for item in value] if isinstance(value, list) else value

    return cleaned(json.loads(path.read_text(encoding="utf-8")))


def test_second_connection_of_a_process_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="must not be connected to a cluster yet"):
        opened_cluster("local", out=tmp_path).__enter__()


def test_folder_that_a_machine_does_not_see_is_named(cluster: Cluster, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    other = Cluster(cluster.ray, type(cluster.view).of(tmp_path, [gone]))
    with pytest.raises(ClusterError, match=rf"machine \S+ must see {gone} as this one does"):
        other.check()
    gone.mkdir()
    other.check()


def test_lost_machine_costs_no_case(cluster: Cluster, machines: Any, tmp_path: Path) -> None:
    cases = [Deadly(f"c{n}", tmp_path, seconds=0.3) for n in range(12)]
    heard: list[str] = []

    def hear(case_id: str) -> None:
        heard.append(case_id)
        if len(heard) == 3:
            machines.remove_node(next(iter(machines.worker_nodes)), allow_graceful=False)

    done = run_cases(cases, die, stage="count", executor=RayExecutor(cluster), on_done=hear)
    assert done.case_ids == tuple(case.case_id for case in cases)
    assert sorted(heard) == sorted(done.case_ids)  # none twice
    assert sorted(done.results)[-1] <= 2
