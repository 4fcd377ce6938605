"""A contestant's process, seen from `benchmarks.speed`."""

import json
import os
import subprocess
import sys
import tempfile
import time


class Contestant:
    """A process that works in turns, see `contestants.turns`.

    Attributes:
        name: as the tables show it.
        start_seconds: from its start to the end of its first step or
            prediction.
        peak_mb: the most memory it has held, in MiB.
        answers: what it answered, a dict for each turn.
    """

    def __init__(self, name: str, module: str, settings: dict, python=None):
        self.name = name
        self.answers = []
        self._settings = tempfile.NamedTemporaryFile("w", suffix=".json")
        json.dump(settings, self._settings)
        self._settings.flush()
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [
                python or sys.executable, "-m",
                f"benchmarks.contestants.{module}", self._settings.name,
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if not os.environ.get("NOISY") else None,
            text=True,
        )  # fmt: skip
        self.peak_mb = self._read()["peak_mb"]
        self.start_seconds = time.perf_counter() - start

    def turn(self, **task: object) -> dict:
        """Gives it a turn and returns its answer."""
        json.dump(task, self._process.stdin)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer = self._read()
        self.peak_mb = answer["peak_mb"]
        self.answers.append(answer)
        return answer

    def _read(self) -> dict:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(
                f"{self.name} ended with {self._process.wait()}; with NOISY=1 "
                "it shows what it says"
            )
        return json.loads(line)

    def stop(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        self._settings.close()
