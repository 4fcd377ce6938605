r"""Suggests which of many unlabelled texts to label next.

    python -m pipelines.suggest --model=runs/first --input_file=texts.csv \
        --count=50 --output_file=to_label.csv

Writes id, text, the model's label and score, and the margin to its second
choice: texts that the model is least sure of, and that differ from one another.
Label them, add them to the training file, train again.
"""

import csv

from absl import flags, logging

from bert_tf import quiet
from bert_tf.errors import InputError
from pipelines import app, common_flags, help_page, output

common_flags.define_input()
common_flags.define_columns()
common_flags.define_text()
common_flags.define_batch_size()
common_flags.define_model()
with help_page.group("Output"):
    _COUNT = flags.DEFINE_integer("count", 50, "How many texts.", lower_bound=1)
    _OUTPUT_FILE = flags.DEFINE_string(
        "output_file", None, "CSV. Default: standard output."
    )


def main(argv: list[str]) -> None:
    """Writes the texts to label."""
    del argv
    from bert_tf.inference import batch_prediction, model_files

    info = model_files.read_info(flags.FLAGS.model)
    if info.task != "classification":
        raise InputError(
            f"--model={flags.FLAGS.model} is of --task={info.task}; "
            "suggestions are for classification"
        )
    ids, texts = batch_prediction.read_texts(
        flags.FLAGS.input_file, common_flags.read_options()
    )
    with output.open_output(_OUTPUT_FILE.value) as file:
        count = _write(file, info, ids, texts)
    logging.info("%d of %d texts are to be labelled.", count, len(texts))


def _write(file, info, ids: list[str], texts: list[str]) -> int:
    """Chooses texts and writes them; returns how many."""
    from bert_tf import runs

    model = runs.open_model(info, batch_size=flags.FLAGS.batch_size)
    if model.has_pairs:
        raise InputError(f"--model={flags.FLAGS.model} takes pairs of texts")
    with quiet.imports():
        from bert_tf.inference import embeddings, suggestions
        from bert_tf.presets import presets
    # One of equal texts.
    distinct = {" ".join(text.split()): i for i, text in enumerate(texts)}
    rows = list(distinct.values())
    asked = [texts[row] for row in rows]
    probabilities = model.predict_encoded(model.encode((asked,)))
    embedder = embeddings.Embedder(
        presets.resolve(flags.FLAGS.preset),
        max_seq_length=flags.FLAGS.max_seq_length,
        batch_size=flags.FLAGS.batch_size,
    )
    chosen = suggestions.choose(
        probabilities,
        lambda part: embedder([asked[row] for row in part]),
        _COUNT.value,
    )
    margins = suggestions.margins(probabilities)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id", "text", "label", "score", "margin"])
    for row in chosen:
        best = int(probabilities[row].argmax())
        label, score = info.class_names[best], probabilities[row, best]
        name = ids[rows[row]]
        writer.writerow([name, asked[row], label, score, margins[row]])
    return len(chosen)


if __name__ == "__main__":
    app.run_script(main, required=["model", "input_file"])
