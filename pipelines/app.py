"""How every script starts, talks and ends."""

import contextlib
import errno
import itertools
import logging as python_logging
import os
import runpy
import sys
import warnings
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from bert_tf import files, quiet, remote
from bert_tf.errors import (
    InputError,
    InstallationError,
    InterruptedTrainingError,
    ServerError,
)
from pipelines import help_page

# They have no file name where it is a write that fails.
_DISK_FAULTS = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

# Of any script: they name a run or a model, which is only read.
_MODEL_FLAGS = ("model", "run_dir", "check", "describe")

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
            page = help_page.page(
                docstring,
                command=command(_own_name()),
                required=required,
                arguments=arguments,
            )
            # For `head`, which has seen enough.
            with contextlib.suppress(BrokenPipeError):
                print(page, flush=True)
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


def command(name: str) -> str:
    """Returns how a script is called: as the one that runs was."""
    if _installed:
        return f"bert-tf-{name.replace('_', '-')}"
    return f"python -m pipelines.{name}"


def _own_name() -> str:
    name = os.path.splitext(os.path.basename(sys.argv[0]))[0]
    return name.removeprefix("bert-tf-").replace("-", "_")


def run_installed() -> None:
    """Runs the script that a console entry point is named after.

    As `python -m` would, since --help shows the docstring of the main module.
    """
    name = _own_name()
    _installed.append(name)
    runpy.run_module(f"pipelines.{name}", run_name="__main__", alter_sys=True)


def _exit_status(main: Callable[[list[str]], None], argv: list[str]) -> int:
    _log_plainly()
    try:
        _check_arguments()
        with contextlib.ExitStack() as copies:
            _copy_remote_models(copies)
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


def _copy_remote_models(copies: contextlib.ExitStack) -> None:
    """Gives flags that name a remote run or model the path of a copy."""
    for name in _MODEL_FLAGS:
        path = flags.FLAGS[name].value if name in flags.FLAGS else None
        if isinstance(path, str) and files.is_remote(path):
            logging.info("--%s: %s is copied here.", name, path)
            flags.FLAGS[name].value = copies.enter_context(
                remote.downloaded(path)
            )


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
    # TensorFlow logs through absl as well.
    handler.addFilter(quiet.only_own)
    python_logging.getLogger("tensorflow").setLevel(python_logging.ERROR)
    # Where they found the key and the server of an s3:// address.
    for name in ("aiobotocore", "botocore"):
        python_logging.getLogger(name).setLevel(python_logging.WARNING)
    # Keras saves h5 and warns of its own formats; nothing a user can act on.
    warnings.filterwarnings("ignore", module="keras")
