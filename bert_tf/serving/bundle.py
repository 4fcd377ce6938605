"""The files that TensorFlow Serving needs beside a model.

models.config is written again at each export, since it names the versions;
the other files only where they are missing, since people tune them.
"""

import functools
import importlib.resources
import json
import os
import re
import string
from collections.abc import Mapping, Sequence

from absl import logging

FOLDER = "serving"
MODELS_CONFIG = "models.config"
# The labels that have a meaning here; people may add others.
STABLE, CANARY, PREVIOUS = "stable", "canary", "previous"
# How often the server of the compose file reads models.config again.
POLL_SECONDS = 60
# The one that the compose file starts; any of operation_check's would do.
_SERVER_VERSION = "2.19.1"
_TEMPLATES = (
    "docker-compose.yml", "batching_parameters.txt", "monitoring.config",
    "README.md", "Dockerfile", "Dockerfile.dockerignore", "kubernetes.yaml",
    "kserve.yaml", "vertex.json",
    "prometheus_rules.yml", "grafana_dashboard.json",
)  # fmt: skip
_LABEL = re.compile(
    r"""version_labels\s*:?\s*\{\s*key\s*:\s*["']([^"']+)["']\s*[,;]?\s*"""
    r"value\s*:\s*(\d+)\s*[,;]?\s*\}"
)
_CONFIG = re.compile(r"\bconfig\s*:?\s*[{\[]")
_SPECIFIC = re.compile(r"\bspecific\s*:?\s*\{([^{}]*)\}")
_VERSION = re.compile(r"\s*\bversions\s*:\s*(\d+)\s*?[,;]?")
_COMMENT = re.compile(r"#.*")
# An image, or KServe's tag of it.
_SERVER = re.compile(
    r"""(?:tensorflow/serving:|runtimeVersion:\s*["']?)(\d+\.\d+)"""
)
# Of a service, less what Kubernetes and KServe append.
_LONGEST_NAME = 40


def update_labels(text: str, newest: int) -> dict[str, int]:
    """Returns the labels of a models.config after an export.

    The newest version gets the label canary, and stable where no version has
    it yet; all others stay as people set them.
    """
    return {STABLE: newest, **read_labels(text), CANARY: newest}


def read_labels(text: str) -> dict[str, int]:
    """Returns the version labels in a models.config."""
    labels = _LABEL.findall(_COMMENT.sub("", text))
    return {label: int(version) for label, version in labels}


def is_understood(text: str) -> bool:
    """Whether a models.config can be written again without a loss.

    It cannot where people wrote several models, or labels in another form.
    """
    text = _COMMENT.sub("", text)
    return len(_CONFIG.findall(text)) == 1 and text.count(
        "version_labels"
    ) == len(_LABEL.findall(text))


def set_labels(text: str, labels: Mapping[str, int]) -> str:
    """Returns a models.config with other labels, the rest as it was written.

    Versions that lose their last label are no longer listed, and those that
    have one are. A file that `is_understood` refuses may come out wrong: see
    `versions`, which parses the result.

    Args:
        text: a models.config.
        labels: all that it is to have.
    """
    # Comments are blanked out, so that places are those in the text.
    code = _COMMENT.sub(lambda comment: " " * len(comment[0]), text)
    before = read_labels(text)
    edits: list[tuple[int, int, str]] = []
    entries = list(_LABEL.finditer(code))
    for entry in entries:
        if entry[1] in labels:
            edits.append((*entry.span(2), str(labels[entry[1]])))
        else:
            edits.append((_line_end_before(code, entry), entry.end(), ""))
    added = [
        f'version_labels {{ key: "{label}" value: {labels[label]} }}'
        for label in sorted(set(labels) - set(before))
    ]
    policy = _SPECIFIC.search(code)
    if added and entries:
        last = entries[-1]
        indent = code[_line_end_before(code, last) : last.start()] or " "
        edits.append((last.end(), last.end(), indent + indent.join(added)))
    elif added and policy:
        # Behind the braces of `specific` and `model_version_policy`.
        end = code.find("}", policy.end()) + 1
        edits.append((end, end, " " + " ".join(added)))
    if policy:
        edits += _edit_versions(
            code,
            policy,
            removed=set(before.values()) - set(labels.values()),
            wanted=set(labels.values()),
        )
    # From the end, so that places stay those in the text.
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _line_end_before(code: str, entry: re.Match) -> int:
    """Returns where an entry's line starts, with its line end, or the entry."""
    start = len(code[: entry.start()].rstrip(" \t"))
    return start - 1 if code[:start].endswith("\n") else entry.start()


def _edit_versions(
    code: str, policy: re.Match, *, removed: set[int], wanted: set[int]
) -> list[tuple[int, int, str]]:
    listed = list(_VERSION.finditer(code, *policy.span(1)))
    edits = [
        (*entry.span(), "") for entry in listed if int(entry[1]) in removed
    ]
    missing = sorted(wanted - {int(entry[1]) for entry in listed})
    if missing:
        place = listed[-1].end() if listed else policy.start(1)
        new = "".join(f" versions: {version}" for version in missing)
        edits.append((place, place, new))
    return edits


def files(
    name: str,
    labels: Mapping[str, int],
    example: Mapping[str, Sequence[str]],
) -> dict[str, str]:
    """Returns the bundle: file names and what is in them."""
    contents = {MODELS_CONFIG: models_config(name, labels)}
    folder = importlib.resources.files("bert_tf.serving") / "bundle_templates"
    for file_name in _TEMPLATES:
        template = folder.joinpath(file_name).read_text(encoding="utf-8")
        contents[file_name] = string.Template(template).substitute(
            name=name,
            server_version=_SERVER_VERSION,
            poll_seconds=POLL_SECONDS,
            # Compose takes small letters, digits, _ and - only.
            compose_name=re.sub(r"[^a-z0-9_-]", "-", name.lower()),
            dns_name=dns_name(name),
        )
    request = {"signature_name": "serving_default", "inputs": dict(example)}
    contents["request.json"] = (
        json.dumps(request, indent=2, ensure_ascii=False) + "\n"
    )
    return contents


def dns_name(name: str) -> str:
    """Returns a name as Kubernetes takes it (RFC 1035): the nearest one."""
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:_LONGEST_NAME]
    return name.strip("-") if name[:1].isalpha() else f"m-{name}".strip("-")


def server_versions(folder: str) -> list[tuple[str, str]]:
    """Returns which files of a bundle name a TensorFlow Serving, and which."""
    found = []
    for file_name in _TEMPLATES:
        path = os.path.join(folder, file_name)
        if file_name == "README.md" or not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as file:
            versions = _SERVER.findall(_COMMENT.sub("", file.read()))
        found += [(file_name, version) for version in versions]
    return found


def models_config(name: str, labels: Mapping[str, int]) -> str:
    """Returns a ModelServerConfig in protobuf's text format."""
    served = " ".join(
        f"versions: {version}" for version in sorted(set(labels.values()))
    )
    labelled = "\n".join(
        f'    version_labels {{ key: "{label}" value: {version} }}'
        for label, version in sorted(labels.items())
    )
    return f"""\
# The versions that are served, and their labels. The server reads this file
# every {POLL_SECONDS} seconds. `stable` is moved by
#   python -m pipelines.export --promote=saved_models/{name}/VERSION
#   python -m pipelines.export --rollback=saved_models/{name}
# An export moves `canary`, keeps the other labels and serves every version
# that has one. Keep this form: a file in another one is left alone.
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ {served} }} }}
{labelled}
  }}
}}
"""


def write(
    folder: str,
    name: str,
    *,
    newest: int,
    example: Mapping[str, Sequence[str]],
    staging_dir: str,
) -> set[int]:
    """Writes the bundle and returns the versions that must stay on disk.

    Args:
        folder: where the files go.
        newest: the version that was just exported.
        example: inputs of serving_default, for request.json.
        staging_dir: an existing folder on the same file system, from which
            the files are renamed.
    """
    os.makedirs(folder, exist_ok=True)
    config_path = os.path.join(folder, MODELS_CONFIG)
    text = ""
    if os.path.exists(config_path):
        with open(config_path, encoding="utf-8") as file:
            text = file.read()
    keep_config = bool(text) and not is_understood(text)
    if keep_config:
        logging.warning(
            "%s was changed in a way that is not understood here, so it is "
            "left as it is; to serve version %d, add it there.",
            config_path,
            newest,
        )
    labels = update_labels(text, newest)
    for file_name, content in files(name, labels, example).items():
        path = os.path.join(folder, file_name)
        if os.path.exists(path) and (keep_config or file_name != MODELS_CONFIG):
            continue
        staged = os.path.join(staging_dir, file_name)
        with open(staged, "w", encoding="utf-8", newline="\n") as file:
            file.write(content)
        os.replace(staged, path)
    # Those before, too: the server unloads them only when it has read the file.
    numbers = re.findall(r"\b\d+\b", _COMMENT.sub("", text))
    return {newest, *labels.values(), *map(int, numbers)}


_TABLE = "linked_operations.json"


def serving_versions() -> tuple[str, ...]:
    """Returns the TensorFlow Serving versions that are known, oldest first."""
    return tuple(linked_operations()["text_of_serving"])


@functools.cache
def linked_operations() -> dict:
    """Returns what linked_operations.json holds.

    `text_of_serving`: the TensorFlow Text that each version links;
    `text_operations`: the operations of each of these.
    """
    file = importlib.resources.files("bert_tf.serving").joinpath(_TABLE)
    return json.loads(file.read_text(encoding="utf-8"))
