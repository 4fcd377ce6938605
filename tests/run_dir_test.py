"""Who may write to a run folder, and when."""

import os

import pytest

from bert_tf import run_dir
from bert_tf.errors import InputError


@pytest.fixture
def run(tmp_path):
    """An unfinished run."""
    path = str(tmp_path / "run")
    with run_dir.create(path, overwrite=False) as folder:
        run_dir.write_json(os.path.join(folder, run_dir.CONFIG), {})
    return path


def check(path, **changes):
    settings = {"overwrite": False, "resume": "auto", **changes}
    return run_dir.check_output_dir(path, **settings)


def test_a_run_that_is_training_is_left_alone(run):
    with run_dir.locked(run):
        for settings in ({}, {"overwrite": True}):
            with pytest.raises(InputError, match="another process"):
                check(run, **settings)
        with pytest.raises(InputError, match="another process"):
            with run_dir.create(run, overwrite=True):
                pass
    assert os.listdir(os.path.dirname(run)) == ["run"]
    assert os.path.exists(os.path.join(run, run_dir.CONFIG))


def test_several_workers_look_at_once(run):
    with run_dir.locked(run, shared=True):
        assert check(run)


def test_overwriting_replaces_all(run):
    stale = os.path.join(run, run_dir.CALIBRATION)
    run_dir.write_json(stale, {})
    assert not check(run, overwrite=True)
    with run_dir.create(run, overwrite=True):
        pass
    assert not os.path.exists(stale)
    assert os.listdir(os.path.dirname(run)) == ["run"]


@pytest.mark.parametrize(
    ("path", "words"),
    [("gs://bucket/folder", "name a local one"), ("run", "name a new one")],
)
def test_folders_of_results_are_local_and_new(run, path, words):
    if path == "run":
        path = run
    with pytest.raises(InputError, match=words) as error:
        run_dir.check_new_dir(path)
    assert "--overwrite_output_dir" not in str(error.value)
    run_dir.check_new_dir(os.path.join(run, run_dir.LOGS))
