"""A page in the browser to try a model on: texts in, answers out (Gradio)."""

import html
import json
import os
from collections.abc import Sequence

# Read when Gradio is imported: it tells its makers nothing.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import gradio as gr  # noqa: E402
import pandas as pd  # noqa: E402

from bert_tf import run_dir  # noqa: E402
from bert_tf.errors import InputError  # noqa: E402
from bert_tf.inference import model_files  # noqa: E402
from bert_tf.runs import Model  # noqa: E402
from bert_tf.tasks.base import probability_columns  # noqa: E402

HOST = "127.0.0.1"
# Longer texts are refused: a model reads the first few hundred words.
_MOST_CHARACTERS, _MOST_ROWS = 100_000, 1_000
_MOST_CLASSES, _MOST_EXAMPLES = 10, 5
# TensorFlow uses all cores for each.
_MOST_AT_ONCE = 2
# Of whom 40 kB are kept; nobody's texts.
_MOST_VISITORS = 100
_REQUEST_FILES = (
    # Beside a version of a SavedModel, and beside a folder of ONNX.
    os.path.join("..", "serving", "request.json"),
    os.path.join("..", "..", "serving", "request.json"),
)
_TITLES = {
    "text": "Text", "text_a": "First text", "text_b": "Second text",
    "question": "Question", "context": "Context",
}  # fmt: skip
_TASKS = {
    "classification": "Classes of texts", "multi_label": "Labels of texts",
    "regression": "Scores of texts", "token": "Entities in texts",
    "span": "Answers to questions",
}  # fmt: skip
# The fonts of the themes come from another server.
_THEME = gr.themes.Default(
    font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
)


def build_page(model: Model) -> gr.Blocks:
    """Returns the page of a model of any task.

    A tab asks one text, or pair, and shows the answer and what led to it;
    another answers many, one a line, in a table.
    """
    names = model_files.text_inputs(
        has_pairs=model.has_pairs,
        has_windows=model.task == "span",
    )
    kind = "pair" if model.has_pairs else "text"
    title, path = _TASKS[model.task], os.path.relpath(model.path)
    with gr.Blocks(title=f"{title}: {path}") as page:
        gr.HTML(f"<h2>{title}</h2><code>{html.escape(path)}</code>")
        with gr.Tab(f"One {kind}"):
            _one_text(model, names)
        with gr.Tab(f"Many {kind}s"):
            _many_texts(model, names)
    return page


def launch(page: gr.Blocks, *, port: int) -> str:
    """Serves a page to this machine alone and returns its address.

    Raises:
        InputError: the port is taken.
    """
    page.queue(default_concurrency_limit=_MOST_AT_ONCE)
    try:
        _, address, _ = page.launch(
            server_name=HOST, server_port=port, share=False, quiet=True,
            prevent_thread_lock=True, ssr_mode=False, theme=_THEME,
            footer_links=[], state_session_capacity=_MOST_VISITORS,
        )  # fmt: skip
    except OSError:
        raise InputError(
            f"--port={port} is taken on this machine; name another"
        ) from None
    return address


def read_examples(model: Model) -> list[tuple[str, ...]]:
    """Returns a few texts, or pairs, that came with a model, if any did.

    Those of an exported model are what its request.json asks, those of a run
    the first of its validation split.
    """
    if model_files.is_run(model.path):
        # Seconds of imports, which an exported model does without.
        from bert_tf.serving import export

        segments, _ = export.evaluation_texts(
            model.path, has_pairs=model.has_pairs
        )
        return list(zip(*segments, strict=True))[:_MOST_EXAMPLES]
    for name in _REQUEST_FILES:
        file = os.path.normpath(os.path.join(model.path, name))
        if os.path.exists(file):
            inputs = run_dir.read_json(file)["inputs"]
            names = model_files.in_order(inputs)
            return list(zip(*(inputs[one] for one in names), strict=True))
    return []


def _one_text(model: Model, names: Sequence[str]) -> None:
    """Lays out the tab of one text."""
    with gr.Row():
        with gr.Column():
            boxes = [
                gr.Textbox(
                    label=_TITLES[name],
                    lines=2 if name in ("question", "text_a") else 5,
                    autofocus=name == names[0],
                )
                for name in names
            ]
            button = gr.Button("Answer", variant="primary")
            examples = read_examples(model)
            if examples:
                gr.Examples(
                    [list(texts) for texts in examples],
                    boxes,
                    label="Examples that came with the model",
                )
        with gr.Column():
            outputs = _ANSWERS[model.task][0](model)

    def answer(*texts: str):
        texts = [_checked(text) for text in texts]
        row = model.predict([texts]).iloc[0]
        return _ANSWERS[model.task][1](model, texts, row)

    gr.on(
        [button.click, *(box.submit for box in boxes)],
        _told(answer),
        boxes,
        outputs,
        api_name="answer",
    )


def _many_texts(model: Model, names: Sequence[str]) -> None:
    """Lays out the tab of a table."""
    titles = [_TITLES[name] for name in names]
    tab = ", with a tab between the two" * model.has_pairs
    box = gr.Textbox(label=f"One a line{tab}", lines=6)
    button = gr.Button("Answer", variant="primary")
    table = gr.Dataframe(
        label="Answers", interactive=False, wrap=True, show_row_numbers=True
    )

    def answer(lines: str) -> pd.DataFrame:
        rows = []
        for number, line in enumerate(lines.splitlines(), 1):
            texts = line.split("\t", len(names) - 1)
            if line.strip() and len(texts) != len(names):
                raise InputError(f"Line {number} has no tab between two texts.")
            if line.strip():
                rows.append([_checked(text) for text in texts])
        if not 0 < len(rows) <= _MOST_ROWS:
            raise InputError(
                f"{len(rows):,} lines: enter 1 to {_MOST_ROWS:,}; "
                "pipelines.predict answers files of any size"
            )
        answers = model.predict(rows)
        if "entities" in answers:
            answers["entities"] = [
                json.dumps(found, ensure_ascii=False)
                for found in answers["entities"]
            ]
        names_shown = dict(
            zip(
                probability_columns(model.class_names),
                model.class_names,
                strict=True,
            )
        )
        answers = answers.round(4).rename(columns=names_shown)
        return pd.concat(
            [pd.DataFrame(rows, columns=titles), answers], axis="columns"
        )

    button.click(_told(answer), box, table, api_name="answer_many")


def _told(function):
    """Returns a function whose InputErrors the page shows."""

    def wrapped(*values):
        try:
            return function(*values)
        except InputError as error:
            raise gr.Error(
                str(error), duration=None, print_exception=False
            ) from None

    return wrapped


def _checked(text: str) -> str:
    """Returns a text as UTF-8 has it; half a character becomes "?".

    Raises:
        InputError: there is none, or it is too long.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")
    if not text.strip():
        raise InputError("Enter a text.")
    if len(text) > _MOST_CHARACTERS:
        raise InputError(
            f"{len(text):,} characters: enter at most {_MOST_CHARACTERS:,}."
        )
    return text


def _show_classes(model: Model) -> list:
    return [
        gr.Label(label="Probabilities", num_top_classes=_MOST_CLASSES),
        gr.HighlightedText(
            label="Words that speak for the answer (+) or against it (-)",
            show_legend=True,
        ),
    ]


def _fill_classes(model: Model, texts: Sequence[str], row: pd.Series) -> list:
    try:
        return [_probabilities(model, row), model.explain(*texts)]
    except InputError:
        # It is read in windows.
        return [_probabilities(model, row), []]


def _show_labels(model: Model) -> list:
    return [
        gr.Textbox(label="Labels", interactive=False),
        gr.Label(
            label="Probabilities",
            num_top_classes=_MOST_CLASSES,
            show_heading=False,
        ),
    ]


def _fill_labels(model: Model, texts: Sequence[str], row: pd.Series) -> list:
    return [row["label"] or "(none)", _probabilities(model, row)]


def _probabilities(model: Model, row: pd.Series) -> dict[str, float]:
    columns = probability_columns(model.class_names)
    return {
        name: float(row[column])
        for name, column in zip(model.class_names, columns, strict=True)
    }


def _show_number(model: Model) -> list:
    return [gr.Number(label="Score", interactive=False)]


def _fill_number(model: Model, texts: Sequence[str], row: pd.Series) -> float:
    return float(row["score"])


def _show_entities(model: Model) -> list:
    return [gr.HighlightedText(label="Entities", show_legend=True)]


def _fill_entities(model: Model, texts: Sequence[str], row: pd.Series) -> list:
    spans = [
        (one["start"], one["end"], one["label"]) for one in row["entities"]
    ]
    return _marked(texts[0], spans)


def _show_answer(model: Model) -> list:
    return [
        gr.Textbox(label="Answer", interactive=False),
        gr.Number(label="Score", interactive=False),
        gr.HighlightedText(label="Context"),
    ]


def _fill_answer(model: Model, texts: Sequence[str], row: pd.Series) -> list:
    spans = [(row["start"], row["end"], "answer")] if row["answer"] else []
    return [row["answer"] or "(none)", row["score"], _marked(texts[1], spans)]


def _marked(text: str, spans: Sequence[tuple[int, int, str]]) -> list:
    """Returns a text in pieces, with the names of those that have one."""
    pieces, at = [], 0
    for start, end, name in spans:
        pieces += [(text[at:start], None), (text[start:end], name)]
        at = end
    pieces.append((text[at:], None))
    return [piece for piece in pieces if piece[0]]


# What shows the answers of each task, and what fills it.
_ANSWERS = {
    "classification": (_show_classes, _fill_classes),
    "multi_label": (_show_labels, _fill_labels),
    "regression": (_show_number, _fill_number),
    "token": (_show_entities, _fill_entities),
    "span": (_show_answer, _fill_answer),
}
