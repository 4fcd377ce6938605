"""The files for Docker, Kubernetes, KServe, Vertex AI and Prometheus."""

import json
import pathlib
import re
import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml

from bert_tf.errors import InputError
from bert_tf.serving import bundle, operation_check
from tests.scripts import run_script

# What a server with monitoring.config says of itself.
_METRICS = ("request_count", "request_latency_bucket", "runtime_latency_bucket")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a model whose name Kubernetes would not take."""
    path = tmp_path_factory.mktemp("bundle")
    contents = bundle.files("My_Reviews.2", {"stable": 1}, {"text": ["a"]})
    for name, text in contents.items():
        (path / name).write_text(text)
    return path


def read_yaml(path: pathlib.Path) -> list[dict]:
    return list(yaml.safe_load_all(path.read_text()))


def test_kubernetes(folder):
    documents = read_yaml(folder / "kubernetes.yaml")
    for document in documents:
        kubernetes_validate.validate(document, "1.37", strict=True)
        assert document["metadata"]["name"] == "my-reviews-2"
    deployment, service, scaler = documents
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    assert scaler["spec"]["scaleTargetRef"]["name"] == "my-reviews-2"
    (container,) = pod["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == ports
    for probe in ("startupProbe", "readinessProbe"):
        path = container[probe]["httpGet"]["path"]
        assert path == "/v1/models/My_Reviews.2"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("reviews", "reviews"),
        ("My_Reviews.2", "my-reviews-2"),
        ("_9", "m-9"),
        ("__", "m"),
        ("a" * 39 + ".b", "a" * 39),
    ],
)
def test_names_that_kubernetes_takes(name, expected):
    assert bundle.dns_name(name) == expected
    assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", expected)


def test_the_image_starts_the_server_that_compose_does(folder):
    text = (folder / "Dockerfile").read_text()
    command = json.loads(text.split("\nCMD ")[1].replace("\\\n", ""))
    (compose,) = read_yaml(folder / "docker-compose.yml")
    service = compose["services"]["tensorflow-serving"]
    flags = [flag for flag in service["command"] if "_poll_" not in flag]
    # What is in an image does not change.
    assert command == flags
    assert f"\nFROM {service['image']}\n" in text
    for name, value in service["environment"].items():
        assert f"\nENV {name}={value}\n" in text


def test_kserve_and_vertex_ask_for_what_is_there(folder):
    """By hand they were read by kserve 0.21's and Vertex AI's own classes."""
    (service,) = read_yaml(folder / "kserve.yaml")
    model = service["spec"]["predictor"]["model"]
    (compose,) = read_yaml(folder / "docker-compose.yml")
    image = compose["services"]["tensorflow-serving"]["image"]
    assert f"tensorflow/serving:{model['runtimeVersion']}" == image
    assert model["modelFormat"] == {"name": "tensorflow"}
    assert model["storageUri"].endswith("/My_Reviews.2")
    container = json.loads((folder / "vertex.json").read_text())["model"][
        "containerSpec"
    ]
    assert container["predictRoute"] == "/v1/models/My_Reviews.2:predict"
    assert container["ports"] == [{"containerPort": 8501}]


def test_alerts_are_rules_of_prometheus(folder):
    if shutil.which("promtool") is None:
        pytest.skip("promtool, of Debian's package prometheus, is not there")
    done = subprocess.run(
        ["promtool", "check", "rules", str(folder / "prometheus_rules.yml")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "3 rules found" in done.stdout


def test_alerts_and_panels_ask_for_the_servers_metrics(folder):
    dashboard = json.loads((folder / "grafana_dashboard.json").read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) == 4
    queries = [target["expr"] for one in panels for target in one["targets"]]
    (rules,) = read_yaml(folder / "prometheus_rules.yml")
    queries += [rule["expr"] for rule in rules["groups"][0]["rules"]]
    for query in queries:
        found = re.findall(r":tensorflow:serving:(\w+)\{(.*?)\}", query)
        assert found or query.startswith("up{")
        for name, labels in found:
            assert name in _METRICS
            assert 'model_name="My_Reviews.2"' in labels
        assert query.count("(") == query.count(")")


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("kserve.yaml", 'runtimeVersion: "2.19.1"', "runtimeVersion: 2.6.2"),
        ("Dockerfile", "serving:2.19.1", "serving:2.11.0-gpu"),
    ],
)
def test_a_server_that_is_too_old(saved_model, tmp_path, file, old, new):
    models = tmp_path / "reviews"
    shutil.copytree(pathlib.Path(saved_model).parent, models)
    path = models / "serving" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    done = run_script("export", f"--check={models}", status=1)
    version = ".".join(new.split()[-1].removeprefix("serving:").split(".")[:2])
    assert f"{path} starts TensorFlow Serving {version}" in done.stderr
    with pytest.raises(InputError, match="older than 2.12"):
        operation_check.check_bundle(str(path.parent), saved_model)
    # A comment starts no server, and people have files of their own there.
    path.write_text(text + "\n# was tensorflow/serving:2.6.2\n")
    (path.parent / "charts").mkdir()
    (path.parent / "notes").write_bytes(b"\xff tensorflow/serving:2.6.2")
    operation_check.check_bundle(str(path.parent), saved_model)
    # Of files that are not there, nothing is asked.
    operation_check.check_bundle(str(tmp_path / "none"), saved_model)
