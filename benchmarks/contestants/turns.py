"""How a contestant and `benchmarks.speed` talk: a line of JSON each way.

A contestant says that it is ready, then waits for a turn, works, and answers
with how long it took. Between its turns it does nothing, so that all meet the
same machine. It needs the standard library only: peers have environments of
their own.
"""

import json
import os
import sys
import time
from collections.abc import Callable


class Turns:
    """The contestant's end.

    Attributes:
        settings: what is in the JSON file that the command line names.
    """

    def __init__(self):
        with open(sys.argv[1], encoding="utf-8") as file:
            self.settings = json.load(file)
        # What libraries print goes elsewhere.
        self._answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def wait(self, **figures: object) -> dict:
        """Answers the last turn, if any, and returns the next one's task."""
        json.dump({**figures, "peak_mb": peak_mb()}, self._answers)
        self._answers.write("\n")
        self._answers.flush()
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        return json.loads(line)


class StepTurns:
    """Turns of so many training steps, counted by a callback's hook."""

    def __init__(self, turns: Turns):
        self._turns = turns
        self._steps = self._texts = 0
        self._start = None
        self._task = None

    def step_ended(self, texts: int) -> None:
        """Call it after every step; it returns when the next may begin."""
        if self._start is None:
            # The first step holds the tracing and compiling.
            self._next()
            return
        self._steps += 1
        self._texts += texts
        if self._steps >= self._task["steps"]:
            self._next(
                seconds=time.perf_counter() - self._start, texts=self._texts
            )

    def _next(self, **figures) -> None:
        self._task = self._turns.wait(**figures)
        self._steps = self._texts = 0
        self._start = time.perf_counter()


def predict_by_turns(
    turns: Turns, predict: Callable[[list[str]], object]
) -> None:
    """Answers turns of texts: all at once, or one at a time."""
    texts = turns.settings["test_texts"]
    predict(texts[:1])
    task = turns.wait()
    while True:
        asked = texts[task["start"] : task["start"] + task["count"]]
        requests = [[text] for text in asked] if task["single"] else [asked]
        seconds = []
        for request in requests:
            start = time.perf_counter()
            predict(request)
            seconds.append(time.perf_counter() - start)
        task = turns.wait(
            seconds=sum(seconds), latencies=seconds, texts=len(asked)
        )


def peak_mb(process: int | str = "self") -> float:
    """Returns the most memory that a running process has held, in MiB.

    Not what getrusage says, which counts what its parent held as well.
    """
    with open(f"/proc/{process}/status") as file:
        lines = dict(line.split(":", 1) for line in file)
    # A process that has ended, and waits for its parent, holds none.
    return int(lines.get("VmHWM", "0").split()[0]) / 1024
