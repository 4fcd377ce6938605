"""What a search gains on texts that it has not seen.

    .venv/bin/python -m benchmarks.search_gain --data_dir=../shared/data \
        --time_budget=20m --output_dir=runs/search_gain

For TREC (1,000 of its training rows) and the BBC headlines, and three seeds,
prints the test accuracy of the defaults, of the best trial and of the run that
is chosen. Two hours on two cores; finished searches are not done again.
"""

import json
import os
import sys

import pandas as pd
from absl import app, flags

from benchmarks import data_sets

_DATA_DIR = flags.DEFINE_string("data_dir", "../shared/data", "Data sets.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/search_gain", "Where to.")
_TIME_BUDGET = flags.DEFINE_string("time_budget", "20m", "Of each search.")
_SETS = flags.DEFINE_list("sets", ["trec", "headlines"], "Which.")
_SEEDS = flags.DEFINE_integer("seeds", 3, "How many.")
_FLAGS = flags.DEFINE_multi_string("search_flag", [], "Such as --num_trials=2.")
_ROWS = 1_000
_FIRST_SEED = 42


def main(argv: list[str]) -> None:
    """Searches, and asks the test texts."""
    del argv
    found = []
    for name in _SETS.value:
        train, test = data_sets.read_set(name, _DATA_DIR.value, held_out=False)
        for seed in range(_FIRST_SEED, _FIRST_SEED + _SEEDS.value):
            folder = os.path.join(_OUTPUT_DIR.value, f"{name}_{seed}")
            os.makedirs(folder, exist_ok=True)
            paths = {
                part: os.path.join(folder, f"{part}.csv")
                for part in ("train", "test")
            }
            rows = train.sample(min(_ROWS, len(train)), random_state=seed)
            rows.to_csv(paths["train"], index=False)
            test.to_csv(paths["test"], index=False)
            one = {"set": name, "seed": seed}
            found.append({**one, **search(folder, paths, seed)})
            print(found[-1], file=sys.stderr, flush=True)
    table = pd.DataFrame(found)
    print(table.to_string(index=False))
    means = table.groupby("set")[["default", "best", "chosen"]].mean()
    print(means.round(4).to_string())


def search(folder: str, paths: dict[str, str], seed: int) -> dict:
    """Returns the test accuracies of the runs of a search."""
    output = os.path.join(folder, "search")
    summary = os.path.join(output, "search.json")
    if not os.path.exists(summary):
        data_sets.run_script(
            "search", f"--train_file={paths['train']}",
            f"--output_dir={output}", f"--seed={seed}",
            f"--time_budget={_TIME_BUDGET.value}", "--num_trials=200",
            *_FLAGS.value,
        )  # fmt: skip
    with open(summary, encoding="utf-8") as file:
        values = json.load(file)
    runs = {"default": os.path.join(output, "default")}
    runs["chosen"] = values["chosen"]
    runs["best"] = runs["default"]
    if values["best_trial"] is not None:
        runs["best"] = os.path.join(output, f"trial_{values['best_trial']}")
    accuracies = {}
    for name, path in runs.items():
        place = os.path.join(folder, f"on_test_{name}")
        if not os.path.exists(os.path.join(place, "metrics.json")):
            data_sets.run_script(
                "evaluate", f"--model={path}",
                f"--eval_file={paths['test']}", f"--output_dir={place}",
            )  # fmt: skip
        with open(os.path.join(place, "metrics.json")) as file:
            accuracies[name] = json.load(file)["eval_accuracy"]
    return {
        "trials": values["num_trials"],
        "gain_on_validation": values.get("gain"),
        **accuracies,
    }


if __name__ == "__main__":
    app.run(main)
