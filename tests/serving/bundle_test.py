import json
import pathlib
import subprocess
import sys

import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    wrappers_pb2,
)

from bert_tf.serving import bundle
from tests.serving.client_test import query


@pytest.fixture(scope="module")
def folder(saved_model):
    return pathlib.Path(saved_model).parent / "serving"


def parse_models_config(text):
    from tensorflow_serving.config import model_server_config_pb2

    config = text_format.Parse(
        text, model_server_config_pb2.ModelServerConfig()
    )
    (entry,) = config.model_config_list.config
    return entry


def message_class(name: str, fields: list[tuple]):
    """Builds a message that the pip package lacks, from its documentation.

    Fields are (name, number, type): a wrapper's or message's full name, or
    "bool" or "string".
    """
    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{name}.proto",
        package="tests",
        syntax="proto3",
        dependency=[wrappers_pb2.DESCRIPTOR.name],
    )
    message = file.message_type.add(name=name)
    for field, number, kind in fields:
        added = message.field.add(
            name=field, number=number, label=types.LABEL_OPTIONAL
        )
        if kind in ("bool", "string"):
            added.type = {"bool": types.TYPE_BOOL, "string": types.TYPE_STRING}[
                kind
            ]
        else:
            added.type, added.type_name = types.TYPE_MESSAGE, f".{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    if name == "MonitoringConfig":
        inner = file.message_type.add(name="PrometheusConfig")
        inner.field.add(
            name="enable", number=1, type=types.TYPE_BOOL,
            label=types.LABEL_OPTIONAL,
        )  # fmt: skip
        inner.field.add(
            name="path", number=2, type=types.TYPE_STRING,
            label=types.LABEL_OPTIONAL,
        )  # fmt: skip
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"tests.{name}")
    )


def test_models_config_is_a_model_server_config(folder):
    entry = parse_models_config((folder / "models.config").read_text())
    assert entry.name == "reviews"
    assert entry.base_path == "/models/reviews"
    assert entry.model_platform == "tensorflow"
    assert list(entry.model_version_policy.specific.versions) == [1]
    assert dict(entry.version_labels) == {"stable": 1, "canary": 1}


def test_batching_parameters(folder):
    int64 = "google.protobuf.Int64Value"
    parameters = message_class(
        "BatchingParameters",
        [
            ("max_batch_size", 1, int64),
            ("batch_timeout_micros", 2, int64),
            ("max_enqueued_batches", 3, int64),
            ("num_batch_threads", 4, int64),
            ("thread_pool_name", 5, "google.protobuf.StringValue"),
            ("pad_variable_length_inputs", 7, "bool"),
            ("enable_large_batch_splitting", 8, "google.protobuf.BoolValue"),
            ("max_execution_batch_size", 9, int64),
        ],
    )()
    text_format.Parse(
        (folder / "batching_parameters.txt").read_text(), parameters
    )
    assert parameters.max_execution_batch_size.value == 32
    assert parameters.max_batch_size.value == 1024
    assert parameters.enable_large_batch_splitting.value
    assert not parameters.pad_variable_length_inputs


def test_monitoring_config(folder):
    config = message_class(
        "MonitoringConfig",
        [("prometheus_config", 1, "tests.PrometheusConfig")],
    )()
    text_format.Parse((folder / "monitoring.config").read_text(), config)
    assert config.prometheus_config.enable
    assert config.prometheus_config.path.startswith("/monitoring/")


def test_compose_file_fits_its_schema(folder):
    pytest.importorskip("check_jsonschema")
    done = subprocess.run(
        [
            sys.executable, "-m", "check_jsonschema",
            "--builtin-schema", "vendor.compose-spec",
            str(folder / "docker-compose.yml"),
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    text = (folder / "docker-compose.yml").read_text()
    assert "/models/reviews/serving/models.config" in text


def test_every_place_is_filled(folder):
    """No file has a use for a dollar sign, compose's variables included."""
    for path in folder.iterdir():
        assert "$" not in path.read_text(), path.name


def test_request_is_answered(folder, server):
    request = json.loads((folder / "request.json").read_text())
    assert request["signature_name"] == "serving_default"
    done = query(server, *request["inputs"]["text"])
    assert done.returncode == 0, done.stderr


def write(tmp_path, newest):
    (tmp_path / "staging").mkdir(exist_ok=True)
    return bundle.write(
        str(tmp_path / "serving"), "m", newest=newest,
        example={"text": ["a"]}, staging_dir=str(tmp_path / "staging"),
    )  # fmt: skip


def test_labels_are_kept(tmp_path):
    path = tmp_path / "serving" / "models.config"
    assert write(tmp_path, 1) == {1}
    assert bundle.read_labels(path.read_text()) == {"stable": 1, "canary": 1}
    assert write(tmp_path, 2) == {1, 2}
    assert bundle.read_labels(path.read_text()) == {"stable": 1, "canary": 2}
    path.write_text(
        path.read_text()
        .replace('"stable" value: 1', '"stable" value: 2')
        .replace(
            "    version_labels",
            "    version_labels: {\n key: 'old', value: 1 } # 'new'\n"
            "    version_labels",
            1,
        )
    )
    labels = {"stable": 2, "canary": 3, "old": 1}
    assert write(tmp_path, 3) == {1, 2, 3}
    entry = parse_models_config(path.read_text())
    assert dict(entry.version_labels) == labels
    assert list(entry.model_version_policy.specific.versions) == [1, 2, 3]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text * 2,
        lambda text: text.replace(
            "  config {", '  config { name: "b" }\n  config {'
        ),
        lambda text: text.replace(
            '{ key: "stable" value: 1 }', '{ value: 1 key: "stable" }'
        ),
    ],
    ids=["twice", "another model", "another form"],
)
def test_people_s_changes_stay(tmp_path, change):
    write(tmp_path, 1)
    tuned = tmp_path / "serving" / "batching_parameters.txt"
    tuned.write_text("max_batch_size { value: 8 }\n")
    config = tmp_path / "serving" / "models.config"
    config.write_text(change(config.read_text()))
    before = config.read_text()
    assert write(tmp_path, 2) == {1, 2}
    assert tuned.read_text() == "max_batch_size { value: 8 }\n"
    assert config.read_text() == before
