"""What --help prints: a script's flags by group, the required ones marked."""

import contextlib
import textwrap
from collections.abc import Iterator, Sequence

from absl import flags

# In the order in which they are printed.
GROUPS = ("Data", "Model", "Training", "Output", "Advanced")
REQUESTS = ("--help", "-help", "--helpshort", "-helpshort", "-h", "-?", "--?")
_WIDTH = 80
_group_of: dict[str, str] = {}


@contextlib.contextmanager
def group(name: str) -> Iterator[None]:
    """Puts the flags that are declared in the context into one of GROUPS."""
    if name not in GROUPS:
        raise ValueError(f"{name!r} is not one of {GROUPS}")
    before = set(flags.FLAGS)
    yield
    _group_of.update(dict.fromkeys(set(flags.FLAGS) - before, name))


def page(
    docstring: str,
    *,
    command: str,
    required: Sequence[str] = (),
    arguments: str | None = None,
) -> str:
    """Returns the help of the script that runs.

    Args:
        docstring: says what the script does, with examples.
        command: how it is called.
        required: names of the flags that must be given.
        arguments: what it takes besides flags, such as "TEXT ..."; or None.
    """
    words = [f"--{name}=..." for name in required]
    words += ["[flags]", *([f"[{arguments}]"] if arguments else [])]
    blocks = [f"usage: {command} {' '.join(words)}", docstring.strip()]
    for title in GROUPS:
        names = [name for name, one in _group_of.items() if one == title]
        # The order of declaration, which a set does not keep.
        declared = [name for name in _declared() if name in names]
        entries = [_entry(name, name in required) for name in declared]
        if entries:
            blocks.append("\n".join([f"{title} flags", *entries]))
    blocks.append(
        "--flagfile=FILE reads flags from a file; --helpfull lists those of "
        "every library."
    )
    return "\n\n".join(blocks)


def _declared() -> list[str]:
    modules = flags.FLAGS.flags_by_module_dict().values()
    return [flag.name for declared in modules for flag in declared]


def _entry(name: str, is_required: bool) -> str:
    flag = flags.FLAGS[name]
    shown = f"--[no]{name}" if flag.boolean else f"--{name}"
    text = flag.help
    if isinstance(flag, flags.EnumFlag):
        values = "|".join(flag.parser.enum_values)
        shown += f"={values}"
        # absl puts them before the text as well.
        text = text.removeprefix(f"<{values}>: ")
    note = ""
    if is_required:
        note = "  (required)"
    elif flag.default not in (None, [], False):
        note = f"  (default: {flag.default_as_str.strip(chr(39))})"
    lines = textwrap.wrap(
        shown + note, _WIDTH, initial_indent="  ", subsequent_indent="      ",
        break_on_hyphens=False,
    )  # fmt: skip
    lines += textwrap.wrap(
        text, _WIDTH, initial_indent="      ", subsequent_indent="      "
    )
    return "\n".join(lines)
