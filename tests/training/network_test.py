"""Two workers whose network delays, swallows or cuts what they say.

Each reaches the other through a TCP proxy. Whatever happens, training goes on
rightly, or both end within a minute and a restart goes on.
"""

import json
import os
import selectors
import shlex
import socket
import subprocess
import threading
import time

import pytest

from tests.conftest import ROOT, free_port
from tests.training import machines
from tests.training.multi_worker_test import (  # noqa: F401
    check_alike,
    command,
    finish,
    launch,
    two_workers,
    wait_until,
)

pytestmark = pytest.mark.slow
_LONGEST = 60


class Proxy:
    """Passes on what comes to its port to another, until it is told not to.

    Attributes:
        port: where it listens.
        delay: seconds that each piece waits.
        swallows: whether pieces are lost, while connections stay open.
    """

    def __init__(self, target: int):
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.delay, self.swallows = 0.0, False
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Ends all connections; new ones are taken."""
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self) -> None:
        while True:
            near, _ = self._server.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                # The worker is not there yet.
                near.close()
                continue
            self._connections += [near, far]
            threading.Thread(
                target=self._pass_on, args=(near, far), daemon=True
            ).start()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            while True:
                for key, _ in selector.select():
                    try:
                        piece = key.fileobj.recv(2**16)
                        if not piece:
                            return
                        time.sleep(self.delay)
                        if not self.swallows:
                            key.data.sendall(piece)
                    except OSError:
                        return


def start(arguments, addresses: list[str], index: int) -> subprocess.Popen:
    """Starts a worker that knows the others by these addresses."""
    config = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    return subprocess.Popen(
        arguments,
        cwd=ROOT,
        env={**os.environ, "TF_CONFIG": json.dumps(config)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def launch_apart(command, *flags) -> tuple[list[subprocess.Popen], list[Proxy]]:  # noqa: F811
    """Starts two workers, each of which knows the other's proxy."""
    ports = [free_port(), free_port()]
    proxies = [Proxy(port) for port in ports]
    workers = []
    for index in range(2):
        known = [proxy.port for proxy in proxies]
        known[index] = ports[index]
        addresses = [f"127.0.0.1:{port}" for port in known]
        workers.append(start([*command, *flags], addresses, index))
    return workers, proxies


def delay(proxies) -> None:
    for proxy in proxies:
        proxy.delay = 0.02


def swallow(proxies) -> None:
    for proxy in proxies:
        proxy.swallows = True


def cut(proxies) -> None:
    for proxy in proxies:
        proxy.cut()


@pytest.mark.parametrize("fault", [delay, swallow, cut])
def test_faults_of_the_network(fault, command, two_workers, tmp_path, full):  # noqa: F811
    if fault is not swallow and not full:
        pytest.skip("a minute each: with --full")
    run = str(tmp_path / "run")
    workers, proxies = launch_apart(command, f"--output_dir={run}")
    wait_until(lambda: os.path.exists(f"{run}/checkpoints/latest.npz"))
    fault(proxies)
    statuses = ended(workers)
    if fault is delay:
        assert statuses == [0, 0]
    if statuses != [0, 0]:
        told = finish(launch(command, f"--output_dir={run}"))
        assert "Resuming the run" in told
    check_alike(two_workers, run, atol=0)


def ended(workers: list[subprocess.Popen]) -> list[int]:
    """Waits for the ends, each with a sentence or none; returns statuses."""
    start = time.monotonic()
    told = [worker.communicate(timeout=_LONGEST)[0] for worker in workers]
    statuses = [worker.returncode for worker in workers]
    print(f"{time.monotonic() - start:.0f} s, exit statuses {statuses}")
    for status, one in zip(statuses, told, strict=True):
        assert status in (0, 2), one
        errors = [line for line in one.splitlines() if "error: " in line[:7]]
        assert len(errors) == (status == 2), one
    return statuses


def test_a_cable_is_pulled(command, two_workers, tmp_path):  # noqa: F811
    """Each worker has a network of its own, as on two machines."""
    reason = machines.why_not()
    if reason:
        pytest.skip(reason)
    run = str(tmp_path / "run")
    with machines.Machines(tmp_path) as two:
        workers = launch_on(two, [*command, f"--output_dir={run}"])
        wait_until(lambda: os.path.exists(f"{run}/checkpoints/latest.npz"))
        two.unplug("node2")
        assert ended(workers) == [2, 2]
        two.plug("node2")
        workers = launch_on(two, [*command, f"--output_dir={run}"])
        assert ended(workers) == [0, 0]
    check_alike(two_workers, run, atol=0)


def launch_on(two: machines.Machines, arguments) -> list[subprocess.Popen]:
    """Starts a worker on each machine."""
    addresses = [f"{name}:12345" for name in machines.NAMES]
    return [
        start(two.on(name, f"exec {shlex.join(arguments)}"), addresses, index)
        for index, name in enumerate(machines.NAMES)
    ]
