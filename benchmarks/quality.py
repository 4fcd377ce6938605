"""Test F1 after each epoch, over seeds: this project and the Trainer.

    .venv/bin/python -m benchmarks.quality \
        --train_file=../shared/data/disaster_tweets/train.csv \
        --test_file=../shared/data/disaster_tweets/test.csv \
        --peers_python=.venv-peers/bin/python --output_dir=runs/quality

Both train on all of --train_file with their defaults, the Trainer as its text
classification guide has it but grouped by length, interleaved by seed. Prints
a table, writes quality.json. Two classes only. Half an hour on two cores.
"""

import os
import sys
import tempfile

import numpy as np
from absl import app, flags

from benchmarks import task
from bert_tf import run_dir

_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/quality", "Where to.")
_SEEDS = flags.DEFINE_list("seeds", ["42", "43", "44"], "A training for each.")
_F1 = flags.DEFINE_float("f1", 0.78, "The F1 to which the time is told.")
_CONTESTANTS = {
    "bert_tf": ("epochs_bert_tf", {}),
    "trainer_grouped": ("epochs_transformers", {"grouped": True}),
}


def main(argv: list[str]) -> None:
    """Measures, prints and writes."""
    del argv
    os.makedirs(_OUTPUT_DIR.value, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = task.task_settings(folder)
        with task.started(_CONTESTANTS, settings) as contestants:
            for seed in map(int, _SEEDS.value):
                for contestant in contestants:
                    answer = contestant.turn(seed=seed)
                    print(
                        f"seed {seed}, {contestant.name}: F1 "
                        + ", ".join(f"{f1:.4f}" for f1 in answer["f1"]),
                        file=sys.stderr,
                    )
            results = {one.name: figures(one.answers) for one in contestants}
    run_dir.write_json(os.path.join(_OUTPUT_DIR.value, "quality.json"), results)
    print(table(results))


def figures(answers: list[dict]) -> dict:
    """Returns F1 and seconds for each seed and epoch, and what they say."""
    f1 = np.array([answer["f1"] for answer in answers])
    seconds = np.array([answer["seconds"] for answer in answers])
    times = [
        seconds_to(_F1.value, f1=f1[i], seconds=seconds[i])
        for i in range(len(f1))
    ]
    return {
        "f1": f1.tolist(),
        "seconds": seconds.tolist(),
        "last_f1_mean": float(f1[:, -1].mean()),
        "last_f1_std": float(f1[:, -1].std(ddof=min(1, len(f1) - 1))),
        "seconds_to_f1": times,
    }


def seconds_to(
    wanted: float, *, f1: np.ndarray, seconds: np.ndarray
) -> float | None:
    """Returns the training time to the first epoch of this F1, or None.

    Args:
        wanted: the F1.
        f1: <float>[epochs], after each.
        seconds: <float>[epochs], of each, without the evaluation.
    """
    reached = np.flatnonzero(f1 >= wanted)
    if not len(reached):
        return None
    return float(seconds[: reached[0] + 1].sum())


def table(results: dict) -> str:
    """Returns a line for each contestant."""
    ours = results["bert_tf"]["last_f1_mean"]
    lines = [
        f"{'':<18}{'F1, last epoch':>18}{'ours - it':>11}"
        f"{'s an epoch':>12}   s to F1 {_F1.value:g}, by seed"
    ]
    for name, row in results.items():
        spread = f"{row['last_f1_mean']:.4f} +- {row['last_f1_std']:.4f}"
        times = ", ".join(
            "not reached" if time is None else f"{time:.0f}"
            for time in row["seconds_to_f1"]
        )
        lines.append(
            f"{name:<18}{spread:>18}{ours - row['last_f1_mean']:>+11.4f}"
            f"{np.mean(row['seconds']):>12.1f}   {times}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    app.run(main)
