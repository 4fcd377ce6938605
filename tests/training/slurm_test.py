"""The recipe for SLURM in docs/distributed.md, run by SLURM itself."""

import os
import re
import sys

import pytest

from tests.conftest import ROOT
from tests.training.multi_worker_test import (
    check_alike,
    command,  # noqa: F401 - a fixture
    two_workers,  # noqa: F401 - a fixture
)
from tests.training.recipes_test import slurm_recipe
from tests.training.slurm_cluster import Cluster, why_not

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster(tmp_path):
    reason = why_not()
    if reason:
        pytest.skip(f"SLURM: {reason}")
    (tmp_path / "slurm").mkdir()
    with Cluster(tmp_path / "slurm") as cluster:
        yield cluster


def test_terminated_then_a_node_killed(
    cluster, command, two_workers, tmp_path, monkeypatch  # noqa: F811
):  # fmt: skip
    """Queued again each time, it resumes and ends as the uninterrupted one."""
    run = tmp_path / "run"
    script, log = tmp_path / "job.sh", tmp_path / "job.log"
    script.write_text(slurm_recipe().replace("/shared/runs/big", str(run)))
    flags = [*command[3:], "--distribution_strategy=multi_worker"]
    (tmp_path / "flags.txt").write_text("\n".join(flags))
    python = os.path.dirname(sys.executable)
    job = cluster.ask(
        "sbatch", "--parsable", "--nodes=2", f"--output={log}",
        f"--chdir={tmp_path}",
        f"--export=ALL,PYTHONPATH={ROOT},PATH={python}:{os.environ['PATH']}",
        str(script),
    )  # fmt: skip

    def state() -> tuple[str, int]:
        """Returns the job's state and how often it was queued again."""
        told = cluster.ask("scontrol", "show", "job", job)
        (name,) = re.findall(r"JobState=(\w+)", told)
        return name, int(re.findall(r"Restarts=(\d+)", told)[0])

    def start_again(restarts: int) -> None:
        cluster.wait_until(lambda: state() == ("PENDING", restarts))
        # SLURM waits two minutes by itself, so that nodes forget the job.
        cluster.ask("scontrol", "update", f"JobId={job}", "StartTime=now+10")

    cluster.wait_until((run / "checkpoints" / "latest.npz").exists)
    cluster.ask("scancel", "--signal=TERM", job)
    start_again(1)
    cluster.wait_until(lambda: state()[0] == "RUNNING")
    cluster.wait_until(lambda: "Resuming the run" in log.read_text())
    cluster.kill("node2")
    cluster.wait_until(lambda: state()[1] == 2)
    cluster.start("node2")
    start_again(2)
    cluster.wait_until(lambda: state() == ("COMPLETED", 2), seconds=120)
    assert log.read_text().count("Resuming the run") >= 2
    check_alike(two_workers, str(run), atol=0)
