import pytest
import tensorflow as tf

from bert_tf.errors import InputError, InstallationError
from bert_tf.inference import loaded_run
from bert_tf.models import backbones
from bert_tf.training import strategy
from bert_tf.training.train import train_files


def test_mirrors_over_logical_cpus():
    assert strategy.build_strategy("mirrored").num_replicas_in_sync == 2
    assert strategy.build_strategy("auto").num_replicas_in_sync == 1


def test_unknown_name():
    with pytest.raises(InputError, match="is not one of"):
        strategy.build_strategy("horovod")


def check(replicas, **changes):
    sizes = {"train_batch_size": 32, "eval_batch_size": 64}
    strategy.check_batch_sizes(
        replicas, **{**sizes, "accumulate_steps": 1, **changes}
    )


def test_batch_sizes_must_divide():
    check(4)
    with pytest.raises(InputError, match="--train_batch_size=33 .* try 32"):
        check(2, train_batch_size=33)
    with pytest.raises(InputError, match="--eval_batch_size=31 .* try 30"):
        check(2, eval_batch_size=31)
    with pytest.raises(InputError, match=r"in 3 pieces.*divisible by 6; try"):
        check(2, accumulate_steps=3)


def test_the_whole_step_compiles_on_one_device_only():
    strategy.check_compilation(strategy.build_strategy("auto"), "true")
    with pytest.raises(InputError, match="of MirroredStrategy"):
        strategy.check_compilation(strategy.build_strategy("mirrored"), "true")


def test_missing_hardware_and_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(InputError, match="needs the variable TF_CONFIG"):
        strategy.build_strategy("multi_worker")
    with pytest.raises(InstallationError, match="no TPU can be used"):
        strategy.build_strategy("tpu")
    with pytest.raises(InputError, match="--tpu=local with"):
        strategy.build_strategy("mirrored", tpu="local")


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "{}",
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "x", "index": 0}}',
    ],
)
def test_broken_clusters(monkeypatch, text):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG is not a cluster"):
        strategy.build_strategy("auto")


def test_float32_is_not_rounded_to_tf32(tiny_config):
    is_on = tf.config.experimental.tensor_float_32_execution_enabled
    backbones.set_precision("bfloat16")
    assert is_on()
    config = tiny_config(num_train_epochs=1)
    metrics = train_files(config)
    assert not is_on()
    assert metrics["device"].startswith("CPU")
    # Nor when it is loaded, to be exported.
    backbones.set_precision("bfloat16")
    loaded_run.load(config.output_dir)
    assert not is_on()
