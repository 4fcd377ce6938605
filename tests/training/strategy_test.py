import pytest

from bert_tf.errors import InputError
from bert_tf.training import strategy


def test_mirrors_over_logical_cpus():
    assert strategy.build_strategy("mirrored").num_replicas_in_sync == 2
    assert strategy.build_strategy("auto").num_replicas_in_sync == 1


def test_unknown_name():
    with pytest.raises(InputError, match="is not one of"):
        strategy.build_strategy("horovod")


def test_batch_size_must_divide():
    strategy.check_batch_size("train_batch_size", 32, 4)
    with pytest.raises(InputError, match="--train_batch_size=33 .* try 32"):
        strategy.check_batch_size("train_batch_size", 33, 2)
