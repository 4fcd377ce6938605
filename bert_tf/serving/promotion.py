"""Makes a version of a model the stable one, by the labels of models.config.

TensorFlow Serving reads the file again while it runs.
"""

import contextlib
import dataclasses
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from bert_tf import files
from bert_tf.errors import InputError
from bert_tf.inference import model_files
from bert_tf.serving import bundle, versions


def promote(path: str) -> str:
    """Makes a version the stable one.

    The version that was stable gets the label previous: it stays on disk and
    loaded, so that a rollback needs no waiting.

    Args:
        path: the version's folder, saved_models/NAME/VERSION.

    Returns:
        What was done, and what the server does next.

    Raises:
        InputError: there is no such version, or no models.config whose labels
            can be moved. Nothing is written then.
    """
    model_dir, name = os.path.split(path.rstrip(os.sep))
    if not name.isdigit():
        _check_model_dir(path)
        raise InputError(
            f"--promote={path} names no version; it has: "
            f"{_listed(versions.complete_versions(path))}, as in --promote="
            f"{os.path.join(path, str(versions.complete_versions(path)[-1]))}"
        )
    model_dir, version = model_dir or os.curdir, int(name)
    _check_model_dir(model_dir)
    on_disk = versions.complete_versions(model_dir)
    if version not in on_disk:
        raise InputError(
            f"{model_dir} has no version {version}; it has: {_listed(on_disk)}"
        )
    with _models_config(model_dir) as config:
        labels = config.labels
        before = labels.get(bundle.STABLE)
        if before == version:
            return f"{model_dir}: `stable` is version {version} already."
        labels[bundle.STABLE] = version
        labels.pop(bundle.PREVIOUS, None)
        was = "" if before is None else f"; before it was {before}"
        if before in on_disk:
            labels[bundle.PREVIOUS] = before
            was += ", which is `previous` now and stays loaded for --rollback"
        return _write_labels(
            config, labels, f"`stable` is version {version} now{was}"
        )


def rollback(model_dir: str) -> str:
    """Makes the version stable that was so before.

    That is the one with the label previous, which `promote` sets and this
    takes away; without it, the next older one on disk.

    Args:
        model_dir: saved_models/NAME.

    Returns:
        What was done, and what the server does next.

    Raises:
        InputError: no older version is there, or no models.config whose labels
            can be moved. Nothing is written then.
    """
    if os.path.exists(os.path.join(model_dir, model_files.SAVED_MODEL)):
        parent = os.path.dirname(os.path.normpath(model_dir)) or os.curdir
        raise InputError(
            f"{model_dir} is a version; --rollback={parent} takes back the "
            "last --promote"
        )
    _check_model_dir(model_dir)
    on_disk = versions.complete_versions(model_dir)
    with _models_config(model_dir) as config:
        labels = config.labels
        before = labels.get(bundle.STABLE)
        if before is None:
            raise InputError(
                f"{config.path} has no label stable; --promote="
                f"{os.path.join(model_dir, str(on_disk[-1]))} sets it"
            )
        why = ""
        version = labels.pop(bundle.PREVIOUS, None)
        if version not in on_disk or version == before:
            older = [number for number in on_disk if number < before]
            if not older:
                raise InputError(
                    f"{model_dir}: `stable` is version {before}, and no older "
                    f"one is on disk; it has: {_listed(on_disk)}"
                )
            version = older[-1]
            why = ", the next older one on disk"
        labels[bundle.STABLE] = version
        return _write_labels(
            config,
            labels,
            f"`stable` is version {version} again{why}; before it was {before}",
        )


def _check_model_dir(model_dir: str) -> None:
    """Raises InputError unless versions and their models.config are there."""
    if files.is_remote(model_dir):
        raise InputError(
            f"{model_dir} is not a local folder; move the labels where the "
            "model was exported to, and copy serving/models.config"
        )
    model_files.find_version(model_dir)
    if not versions.complete_versions(model_dir):
        raise InputError(
            f"{model_dir} is not a model folder: it has no version"
        )
    path = os.path.join(model_dir, bundle.FOLDER, bundle.MODELS_CONFIG)
    if not os.path.exists(path):
        raise InputError(
            f"{model_dir} has no {bundle.FOLDER}/{bundle.MODELS_CONFIG}, which "
            "the next pipelines.export writes"
        )


@dataclasses.dataclass(frozen=True)
class _ModelsConfig:
    """A models.config: its path, its text and what it says of the model."""

    path: str
    text: str
    message: model_server_config_pb2.ModelServerConfig

    @property
    def model(self) -> model_server_config_pb2.ModelConfig:
        return self.message.model_config_list.config[0]

    @property
    def labels(self) -> dict[str, int]:
        return dict(self.model.version_labels)

    def not_understood(self) -> InputError:
        return InputError(
            f"{self.path} was changed in a way that is not understood here, so "
            "it is left as it is; change the number of `stable` in it by hand, "
            "and list that version"
        )


def _parse(path: str, text: str) -> _ModelsConfig:
    message = model_server_config_pb2.ModelServerConfig()
    return _ModelsConfig(path, text, text_format.Parse(text, message))


@contextlib.contextmanager
def _models_config(model_dir: str) -> Iterator[_ModelsConfig]:
    """Reads a models.config, which no export writes meanwhile."""
    models_dir, name = os.path.split(os.path.abspath(model_dir))
    path = os.path.join(model_dir, bundle.FOLDER, bundle.MODELS_CONFIG)
    with versions.locked(models_dir, name):
        try:
            # As it is, so that the line ends of other systems stay.
            with open(path, encoding="utf-8", newline="") as file:
                config = _parse(path, file.read())
        except (UnicodeDecodeError, text_format.ParseError) as error:
            raise InputError(
                f"{path} is not in protobuf's text format: {error}"
            ) from None
        if (
            not bundle.is_understood(config.text)
            or len(config.message.model_config_list.config) != 1
            or config.labels != bundle.read_labels(config.text)
        ):
            raise config.not_understood()
        yield config


def _write_labels(
    config: _ModelsConfig, labels: Mapping[str, int], done: str
) -> str:
    """Writes other labels and returns what was done and what comes next."""
    text = bundle.set_labels(config.text, labels)
    try:
        changed = _parse(config.path, text)
    except text_format.ParseError:
        raise config.not_understood() from None
    if not _is_same_but_for_labels(config, changed, labels):
        raise config.not_understood()
    _replace(config.path, text)
    stable = labels[bundle.STABLE]
    newest = max(changed.model.model_version_policy.specific.versions)
    folder = os.path.dirname(config.path)
    sentences = [f"{os.path.dirname(folder)}: {done}."]
    if stable not in config.model.model_version_policy.specific.versions:
        sentences.append(
            f"Version {stable} was not served: until the server has loaded it, "
            "requests for `stable` fail."
        )
    if newest != stable:
        sentences.append(
            f"Requests without a label go to version {newest}, the newest that "
            "is served."
        )
    sentences.append(
        f"A server that {folder}/docker-compose.yml started reads "
        f"{bundle.MODELS_CONFIG} again within {bundle.POLL_SECONDS} seconds; "
        "one without --model_config_file_poll_wait_seconds only when it is "
        "restarted, or asked to over gRPC."
    )
    return "\n".join(sentences)


def _is_same_but_for_labels(
    before: _ModelsConfig, after: _ModelsConfig, labels: Mapping[str, int]
) -> bool:
    """Whether nothing but labels and the versions they name was changed."""
    expected = model_server_config_pb2.ModelServerConfig()
    expected.CopyFrom(before.message)
    model = expected.model_config_list.config[0]
    listed = model.model_version_policy.specific.versions
    served = set(listed) - set(model.version_labels.values())
    model.ClearField("version_labels")
    model.version_labels.update(labels)
    # The order of versions does not matter.
    found = after.model.model_version_policy.specific.versions
    if sorted(found) != sorted(served | set(labels.values())):
        return False
    listed[:] = found
    return expected == after.message


def _replace(path: str, text: str) -> None:
    """Writes a file by a rename: who reads it meanwhile reads a whole one."""
    # Of a link, what it leads to.
    path = os.path.realpath(path)
    staged = f"{path}.{uuid.uuid4().hex}.partial"
    try:
        with open(staged, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        shutil.copymode(path, staged)
        os.replace(staged, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.remove(staged)


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
