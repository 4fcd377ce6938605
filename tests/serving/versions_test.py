"""Versions appear whole, once each, whoever exports or dies meanwhile."""

import concurrent.futures
import os
import random
import signal
import subprocess
import threading
import time

import pytest

from bert_tf.errors import InputError
from bert_tf.inference import model_files
from bert_tf.inference.saved_model_predictor import SavedModelPredictor
from bert_tf.serving import bundle, versions
from tests.help_page_test import run
from tests.scripts import Script
from tests.serving.bundle_test import parse_models_config


def stage(models_dir, name="m", text="whole"):
    with versions.staging(str(models_dir), name) as staged:
        os.makedirs(staged)
        for i in range(20):
            with open(os.path.join(staged, f"file{i}"), "w") as file:
                file.write(text)
        return versions.publish(
            staged, str(models_dir), name, example={"text": ["a"]}
        )


def test_many_threads_take_different_versions(tmp_path):
    seen, stop = set(), threading.Event()

    def watch():
        folder = tmp_path / "m"
        while not stop.is_set():
            for version in model_files.versions(str(folder)):
                seen.add((version, len(os.listdir(folder / str(version)))))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: stage(tmp_path), range(20)))
    stop.set()
    watcher.join()
    assert sorted(paths) == sorted(
        str(tmp_path / "m" / str(v)) for v in range(1, 21)
    )
    assert {files for _, files in seen} == {20}
    assert sorted(os.listdir(tmp_path)) == [".m.lock", "m"]


def test_old_versions_are_pruned_but_not_labelled_ones(tmp_path):
    for _ in range(5):
        stage(tmp_path)
    with versions.staging(str(tmp_path), "m") as staged:
        os.makedirs(staged)
        versions.publish(
            staged, str(tmp_path), "m", example={"text": ["a"]}, keep=2
        )
    # 1 is stable, 6 is canary.
    assert model_files.versions(str(tmp_path / "m")) == [1, 5, 6]


def test_leftovers_are_deleted_when_old(tmp_path):
    old, new = tmp_path / ".m-a.partial", tmp_path / ".m-b.partial"
    old.mkdir()
    new.mkdir()
    long_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    stage(tmp_path)
    assert not old.exists()
    assert new.exists()


@pytest.mark.parametrize("name", ["", "a/b", ".hidden"])
def test_names(name):
    with pytest.raises(InputError, match="plain folder name"):
        versions.check_name(name, "saved_models")


TUNED = """\
# ours
model_config_list {
  config {
    name: "m"
    base_path: "/models/m"
    model_version_policy { specific {
      versions: 1 # the first }
      versions: 3
    } }
    version_labels { key: "canary" value: 3 }
    version_labels { key: "stable" value: 1 } # for all
    logging_config { sampling_config { sampling_rate: 0.5 } }
  }
}
"""
# What can be parsed, and is left alone.
FOREIGN = {
    "another model": TUNED.replace("  config {", "  config {} config {"),
    "another order": TUNED.replace(
        '{ key: "stable" value: 1 }', '{ value: 1 key: "stable" }'
    ),
    "all versions": TUNED.replace("specific", "all").replace("versions:", "#"),
    "a list": TUNED.replace("versions: 1 # the first }", "versions: [1, 3]"),
}


@pytest.fixture
def model(tmp_path):
    """A model folder of three versions: 1 is stable, 3 canary."""
    folder = tmp_path / "m"
    for version in (1, 2, 3):
        (folder / str(version)).mkdir(parents=True)
        (folder / str(version) / "saved_model.pb").touch()
    (folder / "serving").mkdir()
    labels = {"stable": 1, "canary": 3}
    path = folder / "serving" / "models.config"
    path.write_text(bundle.models_config("m", labels))
    return folder


def config_of(model):
    return model / "serving" / "models.config"


def served(model):
    entry = parse_models_config(config_of(model).read_text())
    listed = entry.model_version_policy.specific.versions
    return dict(entry.version_labels), sorted(listed)


def test_promote_and_rollback(model):
    before = config_of(model).read_text()
    told = versions.promote(f"{model}/3")
    assert "`stable` is version 3 now; before it was 1" in told
    assert "within 60 seconds" in told and "fail" not in told
    assert served(model) == ({"stable": 3, "canary": 3, "previous": 1}, [1, 3])
    told = versions.rollback(str(model))
    assert "`stable` is version 1 again; before it was 3" in told
    assert "Requests without a label go to version 3" in told
    assert config_of(model).read_text() == before


def test_promote_what_is_stable_changes_nothing(model):
    before = config_of(model).stat()
    assert versions.promote(f"{model}/1/").endswith("version 1 already.")
    assert config_of(model).stat() == before


def test_promote_a_version_that_is_not_served(model):
    told = versions.promote(f"{model}/2")
    assert "until the server has loaded it" in told
    assert served(model) == (
        {"stable": 2, "canary": 3, "previous": 1}, [1, 2, 3],
    )  # fmt: skip
    versions.promote(f"{model}/3")
    # 1 has no label any more.
    assert served(model) == ({"stable": 3, "canary": 3, "previous": 2}, [2, 3])


def test_promote_without_labels(model):
    lines = config_of(model).read_text().splitlines(keepends=True)
    config_of(model).write_text(
        "".join(line for line in lines if "version_labels {" not in line)
    )
    with pytest.raises(InputError, match="no label stable; --promote=.*/3"):
        versions.rollback(str(model))
    versions.promote(f"{model}/2")
    assert served(model) == ({"stable": 2}, [1, 2, 3])


def test_rollback_without_a_record(model):
    text = bundle.models_config("m", {"stable": 3, "canary": 3, "previous": 9})
    config_of(model).write_text(text)
    assert "the next older one on disk" in versions.rollback(str(model))
    assert served(model) == ({"stable": 2, "canary": 3}, [2, 3])
    versions.rollback(str(model))
    assert served(model) == ({"stable": 1, "canary": 3}, [1, 3])
    before = config_of(model).read_text()
    with pytest.raises(InputError, match="version 1, and no older one is on"):
        versions.rollback(str(model))
    assert config_of(model).read_text() == before


def test_what_people_wrote_stays(model):
    config_of(model).write_text(TUNED)
    versions.promote(f"{model}/2")
    assert config_of(model).read_text() == TUNED.replace(
        "versions: 3", "versions: 3 versions: 2"
    ).replace(
        '{ key: "stable" value: 1 }',
        '{ key: "stable" value: 2 }\n'
        '    version_labels { key: "previous" value: 1 }',
    )
    versions.rollback(str(model))
    assert config_of(model).read_text() == TUNED


@pytest.mark.parametrize("text", FOREIGN.values(), ids=list(FOREIGN))
def test_another_form_is_left_alone(model, text):
    config_of(model).write_text(text)
    for move in (
        lambda: versions.promote(f"{model}/3"),
        lambda: versions.rollback(str(model)),
    ):
        with pytest.raises(InputError, match="left as it is|no older one"):
            move()
    assert config_of(model).read_text() == text
    assert os.listdir(model / "serving") == ["models.config"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--promote=m/7"], "m has no version 7; it has: 1, 2, 3"),
        (["--promote=m"], "as in --promote=m/3"),
        (["--promote=n/1"], "n: no such model folder"),
        (["--promote=empty/1"], "empty holds no SavedModel"),
        (["--promote=moved/1"], "moved has no serving/models.config"),
        (["--promote=gs://m/3"], "gs://m is not a local folder"),
        (["--rollback=n"], "n: no such model folder"),
        (["--rollback=."], ". holds no SavedModel"),
        (["--rollback=m/3"], "m/3 is a version; --rollback=m takes"),
        (["--rollback=m"], "no older one is on disk"),
        (["--promote=broken/1"], "models.config is not in protobuf's text"),
        (["--promote=m/3", "--run_dir=r"], "--run_dir and --promote exclude"),
        (["--rollback=m", "--promote=m/3"], "--promote and --rollback exclude"),
        (["--describe=m", "--check=m"], "--check and --describe exclude"),
    ],
)
def test_refusals(model, arguments, words):
    (model.parent / "empty").mkdir()
    for name in ("moved", "broken"):
        (model.parent / name / "1").mkdir(parents=True)
        (model.parent / name / "1" / "saved_model.pb").touch()
    (model.parent / "broken" / "serving").mkdir()
    config_of(model.parent / "broken").write_text("model_config_list {")
    before = config_of(model).read_text()
    done = run_export(model.parent, *arguments)
    assert done.returncode == 1 and not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and words in line
    assert config_of(model).read_text() == before


def run_export(folder, *arguments):
    """Runs the script in a folder, as a process of its own."""
    code = (
        "import os, runpy, sys; sys.path.insert(0, os.getcwd()); "
        f"os.chdir({str(folder)!r}); "
        "runpy.run_module('pipelines.export', run_name='__main__')"
    )
    return run("-c", code, *arguments)


def test_labels_move_without_tensorflow(model):
    code = (
        "import atexit, runpy, sys; "
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); "
        "runpy.run_module('pipelines.export', run_name='__main__')"
    )
    for argument in (f"--promote={model}/3", f"--rollback={model}"):
        done = run("-c", code, argument)
        assert done.returncode == 0 and "`stable` is version" in done.stdout
        assert "bert_tf.serving.versions" in done.stderr.split()
        assert not {"tensorflow", "keras", "numpy", "pandas", "grpc"} & set(
            done.stderr.split()
        )


def test_a_reader_never_sees_half_a_file(model):
    seen, stop = set(), threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(config_of(model).read_text())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(50):
        versions.promote(f"{model}/3")
        versions.rollback(str(model))
    stop.set()
    watcher.join()
    assert len(seen) <= 2
    assert os.listdir(model / "serving") == ["models.config"]


def test_a_write_that_fails_leaves_the_file(model, monkeypatch):
    before = config_of(model).read_text()

    def fail(*paths):
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        versions.promote(f"{model}/3")
    assert config_of(model).read_text() == before
    assert os.listdir(model / "serving") == ["models.config"]


def test_a_link_and_its_mode_stay(model):
    target = model.parent / "kept.config"
    config_of(model).rename(target)
    target.chmod(0o640)
    config_of(model).symlink_to(target)
    versions.promote(f"{model}/3")
    assert config_of(model).is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert served(model)[0]["stable"] == 3


def test_exports_keep_what_a_rollback_needs(tmp_path):
    for _ in range(2):
        stage(tmp_path)
    for version in (1, 2):
        (tmp_path / "m" / str(version) / "saved_model.pb").touch()
    versions.promote(str(tmp_path / "m" / "2"))
    for _ in range(3):
        with versions.staging(str(tmp_path), "m") as staged:
            os.makedirs(staged)
            versions.publish(
                staged, str(tmp_path), "m", example={"text": ["a"]}, keep=1
            )
    assert served(tmp_path / "m") == (
        {"stable": 2, "canary": 5, "previous": 1}, [1, 2, 5],
    )  # fmt: skip
    versions.rollback(str(tmp_path / "m"))
    assert served(tmp_path / "m") == ({"stable": 1, "canary": 5}, [1, 5])


def start_export(run, models_dir):
    return Script(
        "export", f"--run_dir={run}", "--name=m", f"--models_dir={models_dir}"
    )


@pytest.mark.slow
def test_concurrent_exports_are_all_complete(trained_run, tmp_path, full):
    count = 20 if full else 2
    exports = [start_export(trained_run, tmp_path) for _ in range(count)]
    folder = str(tmp_path / "m")
    loaded = set()
    while any(export.poll() is None for export in exports):
        for version in set(model_files.versions(folder)) - loaded:
            SavedModelPredictor(os.path.join(folder, str(version)))
            loaded.add(version)
        time.sleep(0.01)
    assert [export.returncode for export in exports] == [0] * count
    assert model_files.versions(folder) == list(range(1, count + 1))
    for version in range(1, count + 1):
        predictor = SavedModelPredictor(os.path.join(folder, str(version)))
        assert predictor.probabilities((["good"],)).shape == (1, 2)


@pytest.mark.slow
def test_killed_exports_leave_no_version_that_does_not_load(
    trained_run, tmp_path, full
):
    start = time.monotonic()
    assert start_export(trained_run, tmp_path).wait() == 0
    usual = time.monotonic() - start
    folder = str(tmp_path / "m")
    generator = random.Random(3)
    killed = 0
    while killed < (50 if full else 2):
        export = start_export(trained_run, tmp_path)
        # Every other one in the last third, where the files are written.
        earliest = 0.0 if killed % 2 else 0.65
        start = time.monotonic()
        try:
            export.wait(usual * generator.uniform(earliest, 1.1))
            # The machine has less to do than it had.
            usual = time.monotonic() - start
        except subprocess.TimeoutExpired:
            export.kill()
        killed += export.wait() == -signal.SIGKILL
        names = set(os.listdir(folder)) - {"serving"}
        assert all(name.isdigit() for name in names)
        for name in names:
            SavedModelPredictor(os.path.join(folder, name)).probabilities(
                (["good"],)
            )
    print(f"{killed} exports killed, {len(names)} versions")
