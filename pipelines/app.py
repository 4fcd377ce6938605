"""How every script starts, talks and ends."""

import errno
import logging as python_logging
import os
import runpy
import sys
import warnings
from collections.abc import Callable

from absl import app, flags, logging

from bert_tf.errors import (
    InputError,
    InstallationError,
    InterruptedTrainingError,
    ServerError,
)
from pipelines import quiet

# They have no file name where it is a write that fails.
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def run_script(main: Callable[[list[str]], None]) -> None:
    """Runs main under absl and ends the process with its exit status.

    0: done; 1: the input or the flags are wrong; 2: the environment is (the
    installation, or a server); 130: interrupted; 143: terminated, and training
    goes on when it is started again. Anything else is a bug, with
    its stack trace.
    """
    quiet.stop()
    app.run(lambda argv: sys.exit(_exit_status(main, argv)))


def run_installed() -> None:
    """Runs the script that a console entry point is named after.

    As `python -m` would, since absl's --help shows the flags and the
    docstring of the main module.
    """
    quiet.start()
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
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
        return _fail(error, 143)
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
