r"""Opens a page in the browser to try a model on: texts in, answers out.

    python -m pipelines.try_out --model=saved_models/tweets

Shows the answer of a text, each class's probability and the words that moved
it; entities and answers are marked in the text; many texts give a table. The
page is for this machine alone, and nothing leaves it. Needs the package gradio;
Ctrl-C ends it.
"""

import threading

from absl import flags

from bert_tf import quiet
from bert_tf.errors import check_installed
from pipelines import app, common_flags, help_page

common_flags.define_model()
with help_page.group("Output"):
    _PORT = flags.DEFINE_integer(
        "port", 7860, "Of the page.", lower_bound=1, upper_bound=65535
    )


def main(argv: list[str]) -> None:
    """Serves the page until it is interrupted."""
    del argv
    from bert_tf import runs

    check_installed("gradio", "pipelines.try_out")
    model = runs.load(flags.FLAGS.model)
    with quiet.imports():
        from bert_tf import try_out
    page = try_out.build_page(model)
    address = try_out.launch(page, port=_PORT.value)
    print(f"{flags.FLAGS.model} is at {address} (Ctrl-C ends it)", flush=True)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        page.close(verbose=False)


if __name__ == "__main__":
    app.run_script(main, required=["model"])
