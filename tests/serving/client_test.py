import json
import socket
import subprocess
import sys

import grpc
import numpy as np
import pytest

from bert_tf.errors import InputError, ServerError
from bert_tf.serving.client.client import Client
from tests.conftest import free_port
from tests.serving.stand_in import RefusalError

TEXTS = ["the film was good", "the plot was awful", "", "a\0b 😀 [SEP]"]


def client(server, address, **kwargs):
    return Client(address, model=server.name, **kwargs)


def test_every_signature(server, address):
    asked = client(server, address)
    answer = asked.predict({"text": TEXTS})
    expected = server.predictor.probabilities((TEXTS,))
    np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
    names = server.predictor.task.class_names
    assert answer["label"] == [names[i] for i in expected.argmax(axis=1)]
    top = asked.predict({"text": TEXTS}, signature="top_k")
    assert [labels[0] for labels in top["labels"]] == answer["label"]
    np.testing.assert_allclose(
        [scores[0] for scores in top["scores"]], answer["score"], atol=1e-6
    )
    tokens = asked.predict({"text": TEXTS}, signature="tokenize")
    again = asked.predict(tokens, signature="tokens")
    np.testing.assert_allclose(again["probabilities"], expected, atol=1e-6)
    embedded = asked.predict({"text": TEXTS}, signature="embed")
    assert list(embedded) == ["embedding"]
    assert np.shape(embedded["embedding"])[0] == len(TEXTS)


def test_bytes_and_lone_surrogates(server, address):
    answer = client(server, address).predict(
        {"text": ["good film", b"good film", "good film\ud800"]}
    )
    first, *others = answer["probabilities"]
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-6)


def test_status_metadata_version_and_label(server, address):
    state = client(server, address).status()[0]
    assert state["state"] == "AVAILABLE"
    assert state["error"] == ""
    metadata = client(server, address).metadata()
    assert metadata["serving_default"] == {
        "inputs": ["text"],
        "outputs": ["label", "probabilities", "score"],
    }
    for choice in ({"version": int(state["version"])}, {"label": "stable"}):
        asked = client(server, address, **choice)
        assert asked.predict({"text": TEXTS[:1]})["label"] == ["pos"]


@pytest.mark.parametrize(
    "settings, inputs, signature, told",
    [
        ({"model": "nope"}, {"text": [""]}, "top_k", r"Latest\(nope\)"),
        ({"version": 99}, {"text": [""]}, "top_k", r"Specific\(\w+, 99\)"),
        ({"label": "new"}, {"text": [""]}, "top_k", "label: new"),
        ({}, {"text": [""]}, "nope", 'signature key "nope" not found'),
        ({}, {"txt": [""]}, "top_k", "expected to be in the set {text}"),
    ],
)
def test_refusals_say_what_the_server_said(
    server, address, settings, inputs, signature, told
):
    asked = Client(address, **{"model": server.name, **settings})
    with pytest.raises(InputError, match=told):
        asked.predict(inputs, signature=signature)


@pytest.mark.parametrize("code", ["UNAVAILABLE", "RESOURCE_EXHAUSTED"])
def test_busy_servers_are_asked_again(server, address, code):
    if server.stand_in is None:
        pytest.skip("a real server is not busy on demand")
    refusal = RefusalError(getattr(grpc.StatusCode, code), "come back later")
    server.stand_in.failures = [refusal] * 2
    asked = client(server, address, retries=2)
    assert asked.predict({"text": TEXTS[:1]})["label"] == ["pos"]
    server.stand_in.failures = [refusal] * 2
    with pytest.raises(ServerError, match=r"come back later.*tried 2 times"):
        client(server, address, retries=1).predict({"text": ["good"]})


@pytest.mark.parametrize("scheme", ["", "grpc://"])
def test_no_server(scheme):
    asked = Client(f"{scheme}127.0.0.1:{free_port()}", model="m", retries=1)
    with pytest.raises(ServerError, match="tried 2 times"):
        asked.predict({"text": ["good"]})


@pytest.mark.parametrize("scheme", ["", "grpc://"])
def test_a_silent_server_is_given_up(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = Client(
            f"{scheme}127.0.0.1:{silent.getsockname()[1]}",
            model="m",
            timeout_seconds=0.3,
            retries=0,
        )
        with pytest.raises(ServerError, match="no answer within 0.3 s"):
            asked.predict({"text": ["good"]})


def test_wrong_settings():
    with pytest.raises(InputError, match="not both"):
        Client("localhost:1", model="m", version=1, label="stable")
    with pytest.raises(InputError, match="give host:port"):
        Client("ftp://localhost:1", model="m")
    with pytest.raises(InputError, match="nonnumeric port"):
        Client("localhost:here", model="m").status()


def query(server, *arguments, **kwargs):
    return subprocess.run(
        [
            sys.executable, "-m", "pipelines.query_server",
            f"--server={server.rest}", f"--model_name={server.name}",
            *arguments,
        ],
        capture_output=True,
        text=True,
        **kwargs,
    )  # fmt: skip


def test_query_server_without_tensorflow(server, tmp_path):
    """A module of that name that cannot be imported stands before it."""
    for name in ("tensorflow", "keras"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('hidden')")
    done = query(server, "the film was good", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["label"] == "pos"
    assert answer["text"] == "the film was good"


def test_query_server_keeps_the_order_of_a_file(server, tmp_path):
    words = ["good", "awful"]
    path = tmp_path / "texts.csv"
    path.write_text(
        "id,text\n"
        + "".join(f"r{i},the film was {words[i % 2]}\n" for i in range(2500))
    )
    output = tmp_path / "answers.jsonl"
    done = query(server, f"--input_file={path}", f"--output_file={output}")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"r{i}" for i in range(2500)]
    assert [row["label"] for row in rows] == ["pos", "neg"] * 1250


def test_query_server_refuses_what_the_model_does_not_take(server, tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("text_a,text_b\na,b\n")
    for arguments, told in (
        (
            [f"--input_file={path}"],
            "takes 1 texts per row (text), the input has",
        ),
        (["--signature=tags", "a"], "it has: embed, serving_default, tokenize"),
    ):
        done = query(server, *arguments)
        assert done.returncode == 1
        assert told in done.stderr


def test_query_server_tells_states_and_errors(server, tmp_path):
    done = query(server)
    assert json.loads(done.stdout)["state"] == "AVAILABLE"
    done = query(server, "--model_version=99", "a text")
    assert done.returncode == 1
    assert "Servable not found" in done.stderr
    assert "Traceback" not in done.stderr
    done = query(server, "--server=127.0.0.1:1", "--retries=0", "a text")
    assert done.returncode == 2
