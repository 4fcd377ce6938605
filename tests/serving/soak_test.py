"""Many parallel callers get right answers, and memory does not grow."""

import concurrent.futures
import os
import random

import numpy as np
import pytest

from bert_tf.serving.client.client import Client
from tests.serving.hostile import SHORTER

CALLERS = 8


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="not Linux")
def test_parallel_callers(server, full):
    """One in a hundred texts is hostile; REST and gRPC interleaved."""
    requests = 100_000 if full else 2_000
    generator = random.Random(7)
    words = "good great bad awful film plot the was very un happy xyz".split()
    texts = [
        " ".join(generator.choices(words, k=generator.randint(0, 30))).encode()
        for _ in range(100 * len(SHORTER) - len(SHORTER))
    ] + SHORTER
    expected = server.predictor.call(
        "serving_default", {"text": np.array(texts, object)}
    )
    addresses = (server.rest, server.grpc)
    clients = [Client(a, model=server.name) for a in addresses]

    def call(number: int) -> None:
        row = random.Random(number).randrange(len(texts))
        answer = clients[number % 2].predict({"text": [texts[row]]})
        np.testing.assert_allclose(
            answer["probabilities"], expected["probabilities"][[row]], atol=1e-5
        )
        assert answer["label"][0].encode() == expected["label"][row]

    memory = []
    with concurrent.futures.ThreadPoolExecutor(CALLERS) as pool:
        for start in range(0, requests, requests // 10):
            list(pool.map(call, range(start, start + requests // 10)))
            memory.append(resident_bytes())
    print("MB:", [size // 2**20 for size in memory])
    # The first tenth fills TensorFlow's and Python's pools.
    assert memory[-1] < 1.05 * memory[0]
