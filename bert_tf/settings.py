"""What the settings of every training have in common: JSON and flags."""

import dataclasses
import json

from bert_tf.errors import InputError, list_some

# A run may be gone on with where these differ.
_NOT_OF_THE_RESULT = (
    "output_dir", "resume", "checkpoint_seconds", "overwrite_output_dir",
    "log_steps", "max_truncated_share",
)  # fmt: skip


class Settings:
    """Base of frozen dataclasses whose fields have their flags' names."""

    @property
    def dtype_policy(self) -> str:
        """The name of Keras' dtype policy."""
        if self.mixed_precision == "float32":
            return "float32"
        return f"mixed_{self.mixed_precision}"

    def to_json(self) -> dict:
        """Returns a dict that `from_json` takes."""
        return dataclasses.asdict(self)

    def result_settings(self) -> dict:
        """Returns the settings that decide what training results in."""
        # Through JSON, as those of config.json went: tuples become lists.
        settings = json.loads(json.dumps(self.to_json()))
        return {
            name: value
            for name, value in settings.items()
            if name not in _NOT_OF_THE_RESULT
        }

    @classmethod
    def from_json(cls, values: dict):
        """Builds a configuration from config.json.

        Raises:
            InputError: it is of another kind of run, or of another version.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(values.keys() - known)
        if unknown:
            raise InputError(
                "its config.json is of another kind of run, or of another "
                f"version of bert_tf: {cls.__name__} has no "
                f"{list_some(unknown)}"
            )
        return cls(**values)

    def to_flagfile(self) -> str:
        """Returns the settings as a --flagfile that repeats the run."""
        lines = []
        for name, value in self.to_json().items():
            # A run that is repeated, or gone on with, replaces nothing.
            if value in (None, ()) or name == "overwrite_output_dir":
                continue
            if isinstance(value, tuple):
                value = ",".join(value)
            if isinstance(value, bool):
                value = str(value).lower()
            lines.append(f"--{name}={value}\n")
        return "".join(lines)
