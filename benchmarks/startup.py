"""How soon scripts answer, beside importing TensorFlow, interleaved.

    .venv/bin/python -m benchmarks.startup --model=saved_models/bbc_news

Each command is a process; a round runs every one of them. Prints seconds,
peak memory and the ratio to `import tensorflow` of the same round, or, of a
prediction, to `import tensorflow, tensorflow_text`; writes startup.json.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from absl import app, flags

from benchmarks.contestants import turns
from bert_tf import run_dir

_ROUNDS = flags.DEFINE_integer("rounds", 5, "Runs of each command.")
_MODEL = flags.DEFINE_string(
    "model", None, "A SavedModel to predict with; none: no prediction."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "runs/startup", "Where to.")
_SCRIPTS = (
    "train", "evaluate", "export", "predict", "check_data", "tokenize",
    "query_server", "create_tfrecords", "launch_workers", "tpu_check",
    "compare", "doctor", "embed", "similar", "build_vocabulary", "pretrain",
    "fill_mask", "distill", "prepare_bbc_news",
)  # fmt: skip
_SECONDS_BETWEEN_LOOKS = 0.002
_TENSORFLOW = "import tensorflow"
_TEXT = "import tensorflow, tensorflow_text"


def main(argv: list[str]) -> None:
    """Measures, prints and writes."""
    del argv
    os.makedirs(_OUTPUT_DIR.value, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        commands = build_commands(folder)
        rounds = [
            {name: run(words) for name, (words, _) in commands.items()}
            for _ in range(_ROUNDS.value)
        ]
    results = {}
    for name, (_, base) in commands.items():
        seconds = [one[name][0] for one in rounds]
        results[name] = {
            "seconds": statistics.median(seconds),
            "peak_mb": max(one[name][1] for one in rounds),
            "ratio": statistics.median(
                one[name][0] / one[base][0] for one in rounds
            ),
        }
        print(
            f"{name:<40}{results[name]['seconds']:8.2f} s"
            f"{results[name]['peak_mb']:9.0f} MiB{results[name]['ratio']:8.3f}"
        )
    run_dir.write_json(os.path.join(_OUTPUT_DIR.value, "startup.json"), results)


def build_commands(folder: str) -> dict[str, tuple[list[str], str]]:
    """Returns commands by name, and which they are compared with."""
    files = {
        "column": "text,lable\na,x\nb,y\n",
        "class": "text,label\na,x\nb,x\n",
    }
    for name, content in files.items():
        with open(f"{folder}/{name}.csv", "w", encoding="utf-8") as file:
            file.write(content)

    def script(name: str, *arguments: str) -> list[str]:
        return [sys.executable, "-m", f"pipelines.{name}", *arguments]

    def train(path: str, *arguments: str) -> list[str]:
        return script(
            "train", f"--train_file={folder}/{path}.csv",
            f"--output_dir={folder}/run", *arguments,
        )  # fmt: skip

    light = {f"{name} --help": script(name, "--help") for name in _SCRIPTS}
    light |= {
        "train, an unknown flag": train("class", "--lerning_rate=1"),
        "train, a value out of range": train("class", "--dropout=2"),
        "train, a missing file": train("nowhere"),
        "train, a missing column": train("column"),
        "train, one class": train("class"),
    }
    commands = {
        text: ([sys.executable, "-c", text], text)
        for text in (_TENSORFLOW, _TEXT)
    }
    commands |= {name: (words, _TENSORFLOW) for name, words in light.items()}
    if _MODEL.value:
        words = script("predict", f"--model={_MODEL.value}", "one text")
        commands["predict one text"] = words, _TEXT
    return commands


def run(command: list[str]) -> tuple[float, float]:
    """Runs a command; returns its seconds and its largest memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    peak_mb = 0.0
    while process.poll() is None:
        peak_mb = max(peak_mb, turns.peak_mb(process.pid))
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return time.perf_counter() - start, peak_mb


if __name__ == "__main__":
    app.run(main)
