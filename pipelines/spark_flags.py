"""Flags on where Spark runs."""

from absl import flags

from bert_tf.errors import InputError
from pipelines import help_page


def define_spark() -> None:
    """Declares the master and Spark's own settings."""
    with help_page.group("Advanced"):
        flags.DEFINE_string(
            "master",
            None,
            "Where Spark runs: local[4], spark://host:7077, yarn, "
            "k8s://https://host:443. Default: what spark-submit says, else all "
            "cores of this machine.",
        )
        flags.DEFINE_multi_string(
            "conf",
            [],
            "A setting of Spark, as in --conf=spark.executor.memory=8g; may be "
            "given several times.",
        )


def settings() -> dict:
    """Returns the arguments of `session.session`.

    Raises:
        InputError: --conf has no value.
    """
    pairs = [setting.partition("=") for setting in flags.FLAGS.conf]
    for name, separator, _ in pairs:
        if not (separator and name.startswith("spark.")):
            raise InputError(
                f"--conf={name}: a setting is written spark.NAME=VALUE"
            )
    return {
        "master": flags.FLAGS.master,
        "settings": {name: value for name, _, value in pairs},
    }
