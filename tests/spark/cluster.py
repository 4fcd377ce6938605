"""Spark's own standalone master and workers, on this machine."""

import os
import socket
import subprocess
import time

import psutil
import pyspark

from tests.conftest import free_port

_EXECUTOR = "CoarseGrainedExecutorBackend"
_PATIENCE = 60


class Cluster:
    """A master and workers of some cores each, until it is closed.

    Attributes:
        master: its address, as --master takes it.
    """

    def __init__(self, folder, *, workers: int, cores: int):
        self._folder = folder
        self._processes: list[subprocess.Popen] = []
        port = free_port()
        self.master = f"spark://127.0.0.1:{port}"
        self._start("master.Master", "--port", str(port))
        self._wait_for_port(port)
        for i in range(workers):
            self._start(
                "worker.Worker", self.master, "--cores", str(cores),
                "--memory", "1g", "--work-dir", str(folder / f"work{i}"),
            )  # fmt: skip

    def executors(self) -> list[psutil.Process]:
        """Returns the executors' processes that run now."""
        found = []
        for process in self._processes[1:]:
            for child in psutil.Process(process.pid).children():
                try:
                    if any(_EXECUTOR in part for part in child.cmdline()):
                        found.append(child)
                except psutil.NoSuchProcess:
                    pass
        return found

    def close(self) -> None:
        """Ends it and what runs in it."""
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            process.wait(_PATIENCE)

    def _start(self, name: str, *arguments: str) -> None:
        program = os.path.join(pyspark.__path__[0], "bin", "spark-class")
        command = [program, f"org.apache.spark.deploy.{name}", *arguments]
        command += ["--host", "127.0.0.1", "--webui-port", "0"]
        log = self._folder / f"{len(self._processes)}.log"
        with open(log, "w") as file:
            self._processes.append(
                subprocess.Popen(
                    command,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env={
                        **os.environ,
                        "SPARK_LOCAL_IP": "127.0.0.1",
                        "SPARK_DAEMON_MEMORY": "256m",
                    },
                )
            )

    def _wait_for_port(self, port: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                assert time.monotonic() < deadline, "no master"
                time.sleep(0.1)
