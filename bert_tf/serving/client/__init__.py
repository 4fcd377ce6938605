"""A client for TensorFlow Serving."""

import dataclasses


class RetryableError(Exception):
    """A failure that another attempt may not meet."""


@dataclasses.dataclass(frozen=True)
class Target:
    """Whom a transport asks, and how long one attempt may take."""

    address: str
    model: str
    version: int | None
    label: str | None
    timeout_seconds: float
