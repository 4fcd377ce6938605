"""Runs scripts in processes that have TensorFlow imported already.

A process imports TensorFlow once and forks for each script: each has flags, a
context and an exit status of its own, without the seconds of importing. What
is about importing itself runs as `python -m`, in tests of its own.
"""

import atexit
import functools
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time

from bert_tf import quiet
from tests.conftest import (
    ROOT,
    leave_figures_unpainted,
    leave_graphs_unoptimized,
)


class Script:
    """A script that runs; its output is in files until it has ended."""

    def __init__(self, name: str, *arguments: str, stdin: str = "", cwd=ROOT):
        folder = tempfile.mkdtemp(dir=_folder().name)
        self._paths = {
            name: os.path.join(folder, name)
            for name in ("stdin", "stdout", "stderr")
        }
        with open(self._paths["stdin"], "w", encoding="utf-8") as file:
            file.write(stdin)
        self._server = _server()
        answer = self._server.ask(
            module=f"pipelines.{name}",
            arguments=arguments,
            cwd=str(cwd),
            environment=dict(os.environ),
            **self._paths,
        )
        self.args = (name, *arguments)
        self.pid = answer["pid"]
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Returns the exit status, None while it runs."""
        return self._wait(os.WNOHANG)

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end and returns the exit status.

        Raises:
            subprocess.TimeoutExpired: it has not ended after so many seconds.
        """
        if timeout is None:
            return self._wait(0)
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(self.args, timeout)
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Ends it at once."""
        self.send_signal(signal.SIGKILL)

    def output(self, name: str) -> str:
        """Returns what was written to stdout or stderr."""
        with open(self._paths[name], encoding="utf-8", newline="") as file:
            return file.read()

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            answer = self._server.ask(pid=self.pid, options=options)
            self.returncode = answer["status"]
        return self.returncode


def run_script(
    name: str, *arguments: str, status: int = 0, stdin: str = "", cwd=ROOT
) -> subprocess.CompletedProcess:
    """Runs a script of pipelines/ to its end, which must have this status."""
    script = Script(name, *arguments, stdin=stdin, cwd=cwd)
    script.wait()
    stderr = script.output("stderr")
    assert script.returncode == status, stderr
    return subprocess.CompletedProcess(
        script.args, status, script.output("stdout"), stderr
    )


class _Server:
    """The process that forks; one for each process of the suite."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.scripts"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        atexit.register(self._process.kill)

    def ask(self, **request) -> dict:
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@functools.cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="scripts-")


@functools.cache
def _server() -> _Server:
    return _Server()


def _serve() -> dict:
    """Forks for each request; returns the request in the child."""
    # As a file of its own: what libraries print must not come between.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Not a context of TensorFlow, which does not survive a fork.
    with quiet.imports():
        import bert_tf.distillation.distill
        import bert_tf.serving.export  # noqa: F401

    leave_graphs_unoptimized()
    leave_figures_unpainted()
    for line in sys.stdin:
        request = json.loads(line)
        if "pid" in request:
            pid, status = os.waitpid(request["pid"], request["options"])
            answer = {"status": os.waitstatus_to_exitcode(status)}
            if not pid:
                answer = {"status": None}
        else:
            pid = os.fork()
            if not pid:
                return request
            answer = {"pid": pid}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    os._exit(0)


def _run(request: dict) -> None:
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT
        os.dup2(os.open(request[name], flags), number)
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    sys.argv = [request["module"], *request["arguments"]]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run(_serve())
