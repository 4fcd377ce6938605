"""Labels move as told, and what people wrote in models.config stays."""

import os
import threading

import pytest

from bert_tf.errors import InputError
from bert_tf.serving import bundle, promotion, versions
from tests.help_page_test import run
from tests.serving.bundle_test import parse_models_config
from tests.serving.versions_test import stage

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
    told = promotion.promote(f"{model}/3")
    assert "`stable` is version 3 now; before it was 1" in told
    assert "within 60 seconds" in told and "fail" not in told
    assert served(model) == ({"stable": 3, "canary": 3, "previous": 1}, [1, 3])
    told = promotion.rollback(str(model))
    assert "`stable` is version 1 again; before it was 3" in told
    assert "Requests without a label go to version 3" in told
    assert config_of(model).read_text() == before


def test_promote_what_is_stable_changes_nothing(model):
    before = config_of(model).stat()
    assert promotion.promote(f"{model}/1/").endswith("version 1 already.")
    assert config_of(model).stat() == before


def test_promote_a_version_that_is_not_served(model):
    told = promotion.promote(f"{model}/2")
    assert "until the server has loaded it" in told
    assert served(model) == (
        {"stable": 2, "canary": 3, "previous": 1}, [1, 2, 3],
    )  # fmt: skip
    promotion.promote(f"{model}/3")
    # 1 has no label any more.
    assert served(model) == ({"stable": 3, "canary": 3, "previous": 2}, [2, 3])


def test_promote_without_labels(model):
    lines = config_of(model).read_text().splitlines(keepends=True)
    config_of(model).write_text(
        "".join(line for line in lines if "version_labels {" not in line)
    )
    with pytest.raises(InputError, match="no label stable; --promote=.*/3"):
        promotion.rollback(str(model))
    promotion.promote(f"{model}/2")
    assert served(model) == ({"stable": 2}, [1, 2, 3])


def test_rollback_without_a_record(model):
    text = bundle.models_config("m", {"stable": 3, "canary": 3, "previous": 9})
    config_of(model).write_text(text)
    assert "the next older one on disk" in promotion.rollback(str(model))
    assert served(model) == ({"stable": 2, "canary": 3}, [2, 3])
    promotion.rollback(str(model))
    assert served(model) == ({"stable": 1, "canary": 3}, [1, 3])
    before = config_of(model).read_text()
    with pytest.raises(InputError, match="version 1, and no older one is on"):
        promotion.rollback(str(model))
    assert config_of(model).read_text() == before


def test_what_people_wrote_stays(model):
    config_of(model).write_text(TUNED)
    promotion.promote(f"{model}/2")
    assert config_of(model).read_text() == TUNED.replace(
        "versions: 3", "versions: 3 versions: 2"
    ).replace(
        '{ key: "stable" value: 1 }',
        '{ key: "stable" value: 2 }\n'
        '    version_labels { key: "previous" value: 1 }',
    )
    promotion.rollback(str(model))
    assert config_of(model).read_text() == TUNED


@pytest.mark.parametrize("text", FOREIGN.values(), ids=list(FOREIGN))
def test_another_form_is_left_alone(model, text):
    config_of(model).write_text(text)
    for move in (
        lambda: promotion.promote(f"{model}/3"),
        lambda: promotion.rollback(str(model)),
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
        assert "bert_tf.serving.promotion" in done.stderr.split()
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
        promotion.promote(f"{model}/3")
        promotion.rollback(str(model))
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
        promotion.promote(f"{model}/3")
    assert config_of(model).read_text() == before
    assert os.listdir(model / "serving") == ["models.config"]


def test_a_link_and_its_mode_stay(model):
    target = model.parent / "kept.config"
    config_of(model).rename(target)
    target.chmod(0o640)
    config_of(model).symlink_to(target)
    promotion.promote(f"{model}/3")
    assert config_of(model).is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert served(model)[0]["stable"] == 3


def test_exports_keep_what_a_rollback_needs(tmp_path):
    for _ in range(2):
        stage(tmp_path)
    for version in (1, 2):
        (tmp_path / "m" / str(version) / "saved_model.pb").touch()
    promotion.promote(str(tmp_path / "m" / "2"))
    for _ in range(3):
        with versions.staging(str(tmp_path), "m") as staged:
            os.makedirs(staged)
            versions.publish(
                staged, str(tmp_path), "m", example={"text": ["a"]}, keep=1
            )
    assert served(tmp_path / "m") == (
        {"stable": 2, "canary": 5, "previous": 1}, [1, 2, 5],
    )  # fmt: skip
    promotion.rollback(str(tmp_path / "m"))
    assert served(tmp_path / "m") == ({"stable": 1, "canary": 5}, [1, 5])
