r"""Starts a command once for each worker, as processes of this machine.

    python -m pipelines.launch_workers --workers=2 -- \
        python -m pipelines.train --distribution_strategy=multi_worker ...

For trial and for tests of training on several machines: each process gets the
variable TF_CONFIG, which names all workers and which of them it is. A line of
output starts with its worker's number. When one worker fails, the others are
ended, and its exit status is the launcher's.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from absl import flags

from bert_tf.errors import InputError
from pipelines import app, help_page

with help_page.group("Training"):
    _WORKERS = flags.DEFINE_integer(
        "workers", 2, "How many processes to start.", lower_bound=1
    )
_SECONDS_TO_END = 30


def main(argv: list[str]) -> None:
    """Starts the workers and waits for them."""
    command = argv[1:]
    if not command:
        raise InputError("name the command to start, after --")
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(_WORKERS.value)]
    workers = [_start(command, addresses, i) for i in range(len(addresses))]
    printers = [
        threading.Thread(target=_print_lines, args=(i, worker))
        for i, worker in enumerate(workers)
    ]
    for printer in printers:
        printer.start()
    # Spot machines and schedulers end the launcher; the workers save first.
    signal.signal(signal.SIGTERM, lambda *_: _end(workers))
    try:
        status = _wait(workers)
    finally:
        _end(workers)
    for printer in printers:
        printer.join()
    sys.exit(status)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(count)
        ]
        return [one.getsockname()[1] for one in sockets]


def _start(command: list[str], addresses: list[str], index: int):
    cluster = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    return subprocess.Popen(
        command,
        env={**os.environ, "TF_CONFIG": json.dumps(cluster)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _print_lines(index: int, worker: subprocess.Popen) -> None:
    for line in worker.stdout:
        print(f"[{index}] {line}", end="", flush=True)


def _wait(workers: list[subprocess.Popen]) -> int:
    """Returns the first failure's exit status, or 0 when all succeeded."""
    while True:
        statuses = [worker.poll() for worker in workers]
        failed = [status for status in statuses if status]
        if failed:
            # As a shell says it where a signal ended the worker.
            return failed[0] if failed[0] > 0 else 128 - failed[0]
        if None not in statuses:
            return 0
        time.sleep(0.1)


def _end(workers: list[subprocess.Popen]) -> None:
    for worker in workers:
        if worker.poll() is None:
            worker.terminate()
    deadline = time.monotonic() + _SECONDS_TO_END
    for worker in workers:
        try:
            worker.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            worker.kill()


if __name__ == "__main__":
    app.run_script(main, arguments="-- COMMAND ...")
