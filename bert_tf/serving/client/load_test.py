"""Asks a server as many callers at once would, and measures its answers."""

import dataclasses
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures

import numpy as np

from bert_tf.errors import InputError, ServerError

_PERCENTILES = (50, 90, 99)
_MOST_MESSAGES = 3


@dataclasses.dataclass(frozen=True)
class Measurement:
    """What a load test has seen.

    Attributes:
        seconds: for how long callers asked, their mean.
        latencies: of the requests that were answered, in seconds
            <float>[requests], as the callers see them.
        errors: how often each message came instead of an answer.
        texts: that were answered.
    """

    seconds: float
    latencies: np.ndarray
    errors: Counter
    texts: int


def measure(
    ask: Callable[[Mapping[str, Sequence]], object],
    requests: Sequence[Mapping[str, Sequence]],
    *,
    concurrency: int,
    seconds: float,
) -> Measurement:
    """Sends requests in turn from so many threads for so long.

    Each caller waits for its answer before it asks again (a closed loop), and
    sends one request before the measurement, so that connections are there.

    Args:
        ask: sends one request, from any thread.
        requests: texts by input name, see `Client.predict`; taken again from
            the first after the last.

    Raises:
        ServerError: not one request was answered.
    """
    turn, lock = itertools.cycle(requests), threading.Lock()
    latencies, errors = [], Counter()
    is_over = threading.Event()

    def send() -> tuple[float, int, str | None]:
        """Returns seconds, texts and the error of one request."""
        with lock:
            request = next(turn)
        began = time.perf_counter()
        error = None
        try:
            ask(request)
        except (InputError, ServerError) as refusal:
            error = str(refusal)
        texts = len(next(iter(request.values())))
        return time.perf_counter() - began, texts, error

    def call() -> tuple[float, int]:
        """Returns for how long a caller asked, and the texts answered."""
        send()
        answered = 0
        began = time.perf_counter()
        while time.perf_counter() < began + seconds and not is_over.is_set():
            took, texts, error = send()
            with lock:
                if error is None:
                    latencies.append(took)
                    answered += texts
                else:
                    errors[error] += 1
        return time.perf_counter() - began, answered

    with futures.ThreadPoolExecutor(concurrency) as pool:
        jobs = [pool.submit(call) for _ in range(concurrency)]
        try:
            futures.wait(jobs, return_when=futures.FIRST_EXCEPTION)
        finally:
            # Ctrl-C, or what no server is to blame for, ends all callers.
            is_over.set()
        asked, texts = zip(*(job.result() for job in jobs), strict=True)
    if not latencies:
        ((message, _),) = errors.most_common(1)
        raise ServerError(f"not one request was answered: {message}")
    return Measurement(
        float(np.mean(asked)), np.array(latencies), errors, sum(texts)
    )


def describe(found: Measurement, *, concurrency: int) -> str:
    """Returns a table for a terminal."""
    answered, failed = len(found.latencies), found.errors.total()
    milliseconds = 1000 * found.latencies
    percentiles = np.percentile(milliseconds, _PERCENTILES)
    latency = "  ".join(
        f"p{percent} {value:.1f}"
        for percent, value in zip(_PERCENTILES, percentiles, strict=True)
    )
    lines = [
        f"{concurrency} callers, {found.seconds:.1f} s",
        f"requests   {answered:,} answered, "
        f"{answered / found.seconds:.1f} a second",
        f"texts      {found.texts:,} answered, "
        f"{found.texts / found.seconds:.1f} a second",
        f"latency    {latency}  longest {milliseconds.max():.1f} ms",
        f"errors     {failed:,} ({failed / (answered + failed):.2%})",
    ]
    lines += [
        f"  {count:,} times: {message}"
        for message, count in found.errors.most_common(_MOST_MESSAGES)
    ]
    return "\n".join(lines)
