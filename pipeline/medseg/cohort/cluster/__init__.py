"""Cohorts on a cluster of machines: the same work as `medseg.cohort` does in one process, handed out by Ray.

Ray is imported when a cluster is opened, and not before.
"""

from medseg.cohort.cluster.machine import Machine
from medseg.cohort.cluster.open_cluster import LOCAL, Cluster, opened_cluster
from medseg.cohort.cluster.ray_executor import RayExecutor

__all__ = ["LOCAL", "Cluster", "Machine", "RayExecutor", "opened_cluster"]
