"""The recipes for clusters in docs/distributed.md, as they stand there."""

import json
import re
import subprocess

import kubernetes_validate
import pytest
import yaml

from bert_tf.training import strategy
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "distributed.md").read_text()


def task_config(script: str, tmp_path, **environment) -> dict:
    """Runs a script whose python tells TF_CONFIG and its arguments."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$TF_CONFIG"; echo "$@" >&2\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["bash", "-e", "-c", script],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.startswith("-m pipelines.train --flagfile=")
    return json.loads(done.stdout)


def test_kubernetes(tmp_path, monkeypatch):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    service, job = yaml.safe_load_all(text)
    for document in (service, job):
        kubernetes_validate.validate(document, "1.37", strict=True)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert int(variables["WORKERS"]) == job["spec"]["completions"]
    config = task_config(
        container["args"][0], tmp_path, JOB_COMPLETION_INDEX="1", **variables
    )
    name, domain = job["metadata"]["name"], pod["subdomain"]
    assert domain == service["metadata"]["name"]
    assert service["spec"]["selector"] == {"batch.kubernetes.io/job-name": name}
    assert config == {
        "cluster": {"worker": [f"{name}-{i}.{domain}:12345" for i in range(2)]},
        "task": {"type": "worker", "index": 1},
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert strategy.count_workers() == 2


def slurm_recipe() -> str:
    """Returns the script that is submitted."""
    (text,) = re.findall(r"```\n(#!/bin/bash\n#SBATCH.*?)```", PAGE, re.DOTALL)
    return text


def test_slurm(tmp_path):
    asked = 'test "$1 $2 $3" = "show hostnames n[1-2]"'
    for name, script in {
        "scontrol": f"{asked}; echo n1; echo n2",
        "srun": 'exec "$@"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\nset -e\n{script}\n")
        (tmp_path / name).chmod(0o755)
    config = task_config(
        slurm_recipe(),
        tmp_path,
        SLURM_JOB_NODELIST="n[1-2]",
        SLURM_PROCID="1",
    )
    assert config == {
        "cluster": {"worker": ["n1:12345", "n2:12345"]},
        "task": {"type": "worker", "index": 1},
    }


@pytest.mark.parametrize("kind", ["chief", "worker"])
def test_vertex_ai(kind, monkeypatch):
    """What its documentation says that a custom job is given."""
    config = {
        "cluster": {
            "chief": ["cmle-training-workerpool0-ab-0:2222"],
            "worker": [
                f"cmle-training-workerpool1-ab-{i}:2222" for i in (0, 1)
            ],
        },
        "environment": "cloud",
        "task": {"type": kind, "index": 0},
        "job": '{"python_module":"pipelines.train"}',
    }
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    assert strategy.count_workers() == 3
