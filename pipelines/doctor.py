"""Says whether this installation can train, and how to fix what is wrong.

python -m pipelines.doctor
"""

from bert_tf.diagnostics import doctor
from bert_tf.errors import InstallationError, list_some
from pipelines import app


def main(argv: list[str]) -> None:
    """Looks at everything and prints it."""
    del argv
    checks = doctor.examine()
    print(doctor.describe(checks))
    faults = doctor.faults(checks)
    if faults:
        raise InstallationError(
            f"{len(faults)} of {len(checks)} checks failed: "
            f"{list_some([fault.name for fault in faults])}"
        )
    print(
        "Ready. Next:\n  python -m pipelines.train --train_file=train.csv "
        "--output_dir=runs/first"
    )


if __name__ == "__main__":
    app.run_script(main)
