"""Flags of every training: output, data, progress and resume."""

from absl import flags

from bert_tf.config import base
from pipelines import help_page


def define() -> None:
    """Declares what every training has: where to, on what, and how."""
    with help_page.group("Output"):
        flags.DEFINE_string(
            "output_dir", None, "Folder for the run; new or empty."
        )
        flags.DEFINE_boolean(
            "overwrite_output_dir",
            False,
            "Replace the run that is in --output_dir.",
        )
    with help_page.group("Training"):
        flags.DEFINE_integer(
            "seed",
            42,
            "Seed of the split, the order, the head and the dropout.",
        )
    with help_page.group("Advanced"):
        flags.DEFINE_float(
            "weight_decay", 0.01, "AdamW's decay, not on biases and LayerNorm."
        )
        flags.DEFINE_integer(
            "log_steps",
            50,
            "Steps between two lines of progress in a log file; on a terminal "
            "there is a progress bar.",
        )
        flags.DEFINE_enum(
            "distribution_strategy",
            "auto",
            base.STRATEGIES,
            "mirrored: a replica on each GPU; multi_worker: several processes "
            "or machines, named by the variable TF_CONFIG; tpu: the cores of "
            "--tpu; auto: multi_worker where TF_CONFIG names several workers, "
            "tpu where --tpu is given, mirrored on several GPUs, else one "
            "device.",
        )
        flags.DEFINE_string(
            "tpu", None, "local on a TPU VM, or the name of a Cloud TPU."
        )
        flags.DEFINE_enum(
            "mixed_precision",
            "float32",
            base.MIXED_PRECISION,
            "Precision of the matrix products; bfloat16 or float16 need "
            "hardware that has them to be faster.",
        )
        flags.DEFINE_integer(
            "accumulate_steps",
            1,
            "Work through a batch in so many pieces one after the other, which "
            "takes less memory and gives the same gradient.",
        )
        flags.DEFINE_enum(
            "jit_compile",
            "auto",
            base.JIT_COMPILE,
            "What XLA compiles. auto: on one CPU or GPU AdamW's update alone, "
            "a kernel for each shape of a weight; true: the whole step, once "
            "for each length that occurs (on CPUs slower, for dropout); "
            "false: nothing. TPUs compile everything in any case.",
        )
        flags.DEFINE_enum(
            "resume",
            "auto",
            base.RESUME,
            "auto: resume an unfinished run of the same settings and data "
            "in --output_dir; must: fail if there is none; never: do not.",
        )
        flags.DEFINE_float(
            "checkpoint_seconds",
            60.0,
            "Save the state of training so often (and at the end of each "
            "epoch), but in no more than 5% of the time.",
        )


def given_values() -> dict:
    """Returns the values of those flags that the command names."""
    module = flags.FLAGS.flags_by_module_dict()[__name__]
    return {flag.name: flag.value for flag in module if flag.present}
