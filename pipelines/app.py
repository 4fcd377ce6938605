"""How every script starts, talks and ends."""

import errno
import itertools
import logging as python_logging
import os
import runpy
import sys
import warnings
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from bert_tf.errors import (
    InputError,
    InstallationError,
    InterruptedTrainingError,
    ServerError,
)
from pipelines import help_page, quiet

# They have no file name where it is a write that fails.
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

# The name of the console entry point that runs, if one does.
_installed: list[str] = []


def run_script(
    main: Callable[[list[str]], None],
    *,
    required: Sequence[str] = (),
    arguments: str | None = None,
) -> None:
    """Runs main under absl and ends the process with its exit status.

    0: done; 1: the input or the flags are wrong; 2: the environment is (the
    installation, or a server); 130: interrupted; 143: terminated, and training
    resumes when it is started again. Anything else is a bug, with
    its stack trace.

    Args:
        main: takes the arguments that are no flags, after the script's name.
        required: names of the flags that must be given.
        arguments: what those arguments are, such as "TEXT ..."; None refuses
            them, since they are as a rule what a shell made of a pattern.
    """

    def parse(argv: list[str]) -> list[str]:
        words = list(itertools.takewhile(lambda word: word != "--", argv))
        if any(word in help_page.REQUESTS for word in words[1:]):
            docstring = sys.modules["__main__"].__doc__ or ""
            print(
                help_page.page(
                    docstring,
                    command=_command(),
                    required=required,
                    arguments=arguments,
                )
            )
            sys.exit(0)
        try:
            rest = flags.FLAGS(argv)
            _check_flags(rest, required, arguments)
        except (flags.Error, InputError) as error:
            sys.exit(_fail(f"{error}\nSee --help.", 1))
        return rest

    app.run(lambda argv: sys.exit(_exit_status(main, argv)), flags_parser=parse)


def _check_flags(
    argv: list[str], required: Sequence[str], arguments: str | None
) -> None:
    missing = [f"--{name}" for name in required if not flags.FLAGS[name].value]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(f"{' and '.join(missing)} {verb} needed")
    if len(argv) > 1 and arguments is None:
        raise InputError(
            f"{argv[1]!r} is not a flag, and this script takes nothing else. "
            "Several files are separated by commas, and a pattern stands in "
            "quotes, as in --train_file='a/*.csv,b.csv'"
        )


def _command() -> str:
    """Returns how the script that runs was called."""
    if _installed:
        return _installed[0]
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    return f"python -m pipelines.{name}"


def run_installed() -> None:
    """Runs the script that a console entry point is named after.

    As `python -m` would, since --help shows the docstring of the main module.
    """
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    _installed.append(name)
    module = name.removeprefix("bert-tf-").replace("-", "_")
    runpy.run_module(f"pipelines.{module}", run_name="__main__", alter_sys=True)


def _exit_status(main: Callable[[list[str]], None], argv: list[str]) -> int:
    _log_plainly()
    try:
        _check_arguments()
        main(argv)
    except InputError as error:
        return _fail(error, 1)
    except (InstallationError, ServerError) as error:
        return _fail(error, 2)
    except InterruptedTrainingError as error:
        return _fail(error, error.exit_status)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        # The reader of our output, such as `head`, has seen enough.
        sys.stderr.close()
    except OSError as error:
        if error.filename is None and error.errno not in _DISK_FAULTS:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        return _fail(f"{where}{error.strerror}", 1)
    return 0


def _check_arguments() -> None:
    for argument in sys.argv:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"the argument {ascii(argument)} is not UTF-8"
            ) from None


def _fail(message: object, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


def open_model(info, *, batch_size: int):
    """Loads a model of either kind, importing no more than it needs.

    Args:
        info: a `ModelInfo`.
        batch_size: texts per step.
    """
    with quiet.imports():
        if info.config is not None:
            from bert_tf.inference import loaded_run as kind
        else:
            from bert_tf.inference import saved_model_predictor as kind
    return kind.open_model(info.path, batch_size=batch_size)


def _log_plainly() -> None:
    if flags.FLAGS["verbosity"].using_default_value:
        logging.set_verbosity(logging.INFO)
    logging.use_absl_handler()
    if logging.get_verbosity() > logging.INFO:
        # --verbosity=1: everything that TensorFlow and Keras say.
        return
    handler = logging.get_absl_handler()
    handler.setFormatter(python_logging.Formatter("%(message)s"))
    # TensorFlow logs through absl as well: how it names inputs and shards.
    handler.addFilter(
        lambda record: (
            record.levelno >= python_logging.ERROR
            or f"{os.sep}tensorflow{os.sep}" not in record.pathname
        )
    )
    python_logging.getLogger("tensorflow").setLevel(python_logging.ERROR)
    # Keras saves h5 and warns of its own formats; nothing a user can act on.
    warnings.filterwarnings("ignore", module="keras")
