"""Load tests of a server."""

import re
import threading
import time

import grpc
import numpy as np
import pytest

from bert_tf.errors import InputError, ServerError
from bert_tf.serving.client import load_test
from bert_tf.serving.client.client import Client
from tests.scripts import run_script
from tests.serving.stand_in import RefusalError


def test_what_the_callers_see():
    """Each waits for its own answer; failures are no latencies."""
    at_once, most, lock = 0, 0, threading.Lock()

    def ask(inputs):
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01)
        with lock:
            at_once -= 1
        if inputs["text"] == ["wrong"]:
            raise InputError("refused")

    found = load_test.measure(
        ask,
        [{"text": ["a", "b"]}, {"text": ["wrong"]}],
        concurrency=4,
        seconds=0.3,
    )
    assert most == 4
    assert found.texts == 2 * len(found.latencies)
    assert 0.3 <= found.seconds < 3
    assert found.latencies.min() >= 0.01
    answered, failed = len(found.latencies), found.errors["refused"]
    # Requests are taken in turn.
    assert abs(answered - failed) <= 4
    assert answered + failed <= 4 * found.seconds / 0.01 + 4


def test_description():
    latencies = np.arange(1, 101) / 1000
    found = load_test.Measurement(
        2.0, latencies, load_test.Counter({"status 503": 25}), 200
    )
    assert load_test.describe(found, concurrency=8) == (
        "8 callers, 2.0 s\n"
        "requests   100 answered, 50.0 a second\n"
        "texts      200 answered, 100.0 a second\n"
        "latency    p50 50.5  p90 90.1  p99 99.0  longest 100.0 ms\n"
        "errors     25 (20.00%)\n"
        "  25 times: status 503"
    )


def test_nobody_answers():
    def ask(inputs):
        raise ServerError("status 503: full")

    with pytest.raises(ServerError, match="not one request.*503: full"):
        load_test.measure(ask, [{"text": ["a"]}], concurrency=2, seconds=0.1)


def test_what_no_server_is_to_blame_for_ends_it():
    def ask(inputs):
        raise KeyError("text")

    start = time.monotonic()
    with pytest.raises(KeyError):
        load_test.measure(ask, [{"text": ["a"]}], concurrency=2, seconds=60)
    assert time.monotonic() - start < 30


def ask_server(address, name, *arguments, **kwargs):
    return run_script(
        "query_server", f"--server={address}", f"--model_name={name}",
        "--benchmark", "--concurrency=3", "--duration=0.5", *arguments,
        **kwargs,
    )  # fmt: skip


def test_a_busy_server(server, address):
    if server.stand_in is None:
        pytest.skip("a real server is not busy on demand")
    busy = RefusalError(grpc.StatusCode.UNAVAILABLE, "come back later")
    client = Client(address, model=server.name, retries=0)
    server.stand_in.failures = [busy] * 20
    found = load_test.measure(
        client.predict,
        [{"text": ["the film was good"]}],
        concurrency=2,
        seconds=1,
    )
    assert not server.stand_in.failures
    # Those of the first requests do not count.
    assert found.errors.total() == 18
    (message,) = found.errors
    assert "come back later" in message
    assert found.texts == len(found.latencies) > 0


def test_by_the_script(server, address):
    done = ask_server(
        address, server.name, "the film was good", "the film was bad"
    )
    requests, texts = (
        int(
            re.search(rf"{name} +([\d,]+) answered", done.stdout)[1].replace(
                ",", ""
            )
        )
        for name in ("requests", "texts")
    )
    assert texts == 2 * requests > 0
    assert "errors     0 (0.00%)" in done.stdout


def test_without_texts(server):
    done = ask_server(server.rest, server.name, status=1)
    assert "--benchmark needs texts" in done.stderr
