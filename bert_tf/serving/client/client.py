"""Queries TensorFlow Serving over REST or gRPC.

REST needs the standard library only, and no TensorFlow.
"""

import base64
import http.client
import json
import random
import socket
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bert_tf.errors import InputError, ServerError
from bert_tf.serving.client import RetryableError, Target

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
# Too many requests, and unavailable: the server asks to try again.
_RETRIED_STATUSES = (429, 503)


class Client:
    """Asks one model of one server; threads may share it.

    Args:
        server: host:port or http(s)://host:port for REST, grpc://host:port
            for gRPC.
        model: the model's name.
        version: its version; by default the newest that is served.
        label: instead of a version, its label in models.config.
        timeout_seconds: how long one attempt may take.
        retries: how often a request is repeated after 429, 503 or a failed
            connection, with pauses that double from 0.1 to 5 s.
    """

    def __init__(
        self,
        server: str,
        *,
        model: str,
        version: int | None = None,
        label: str | None = None,
        timeout_seconds: float = 10.0,
        retries: int = 4,
    ):
        if version is not None and label is not None:
            raise InputError("give a model version or a label, not both")
        scheme, _, address = server.rpartition("://")
        target = Target(address, model, version, label, timeout_seconds)
        if scheme in ("", "http", "https"):
            self._transport = RestTransport(target, encrypted=scheme == "https")
        elif scheme == "grpc":
            from bert_tf.serving.client.grpc_transport import GrpcTransport

            self._transport = GrpcTransport(target)
        else:
            raise InputError(
                f"{server}: give host:port, http://, https:// or grpc://"
            )
        self._server = server
        self._retries = retries

    def predict(
        self,
        inputs: Mapping[str, Sequence],
        *,
        signature: str = "serving_default",
    ) -> dict[str, list]:
        """Answers a batch.

        Args:
            inputs: lists of equal length by input name, such as
                {"text": ["a text", "another"]}; strings may be bytes.
            signature: one of the model's.

        Returns:
            Lists, in the order of the inputs, by output name.

        Raises:
            InputError: the server says that the request is wrong.
            ServerError: the server cannot be reached, or cannot answer.
        """
        return self._retry(lambda: self._transport.predict(inputs, signature))

    def status(self) -> list[dict[str, str]]:
        """Returns the model's versions and the state of each."""
        return self._retry(self._transport.status)

    def metadata(self) -> dict[str, dict[str, list[str]]]:
        """Returns the names of inputs and outputs by signature."""
        return self._retry(self._transport.metadata)

    def _retry(self, request: Callable[[], Any]) -> Any:
        pause = _FIRST_PAUSE_SECONDS
        for attempt in range(self._retries + 1):
            try:
                return request()
            except RetryableError as error:
                if attempt == self._retries:
                    raise ServerError(
                        f"{self._server}: {error} (tried {attempt + 1} times)"
                    ) from error
            # Spread, so that many clients do not come back at once.
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        raise AssertionError("not reached")


class RestTransport:
    """TensorFlow Serving's REST API, version 1; a connection a thread."""

    def __init__(self, target: Target, *, encrypted: bool):
        self._connection_class = (
            http.client.HTTPSConnection
            if encrypted
            else http.client.HTTPConnection
        )
        self._address = target.address
        self._timeout_seconds = target.timeout_seconds
        self._path = f"/v1/models/{urllib.parse.quote(target.model, safe='')}"
        if target.version is not None:
            self._path += f"/versions/{target.version}"
        if target.label is not None:
            label = urllib.parse.quote(target.label, safe="")
            self._path += f"/labels/{label}"
        self._local = threading.local()
        self._single_outputs: dict[str, str] = {}

    def predict(self, inputs: Mapping[str, Sequence], signature: str) -> dict:
        """Sends one predict request, in columns."""
        body = {
            "signature_name": signature,
            "inputs": {
                name: [_to_json(value) for value in values]
                for name, values in inputs.items()
            },
        }
        outputs = self._request("POST", ":predict", body, "outputs")
        if isinstance(outputs, dict):
            return outputs
        # The server leaves out the name of an only output.
        if signature not in self._single_outputs:
            self._single_outputs[signature] = self.metadata()[signature][
                "outputs"
            ][0]
        return {self._single_outputs[signature]: outputs}

    def status(self) -> list[dict[str, str]]:
        """Sends one status request."""
        versions = self._request("GET", "", None, "model_version_status")
        return [
            {
                "version": entry["version"],
                "state": entry["state"],
                "error": entry["status"]["error_message"],
            }
            for entry in versions
        ]

    def metadata(self) -> dict[str, dict[str, list[str]]]:
        """Sends one metadata request."""
        metadata = self._request("GET", "/metadata", None, "metadata")
        signatures = metadata["signature_def"]["signature_def"]
        return {
            name: {
                "inputs": sorted(signature["inputs"]),
                "outputs": sorted(signature["outputs"]),
            }
            for name, signature in signatures.items()
            if not name.startswith("__")
        }

    def _request(self, method: str, suffix: str, body: dict | None, key: str):
        """Returns what the server's answer has under `key`."""
        connection = self._connection()
        try:
            connection.request(
                method,
                self._path + suffix,
                body=None if body is None else json.dumps(body).encode(),
                headers={"Content-Type": "application/json"},
            )
            response = connection.getresponse()
            content = response.read()
        except TimeoutError:
            connection.close()
            raise ServerError(
                f"{self._address} gave no answer within "
                f"{self._timeout_seconds:g} s"
            ) from None
        except socket.gaierror as error:
            raise ServerError(
                f"{self._address}: no such host ({error})"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise RetryableError(
                f"no connection ({type(error).__name__}: {error})"
            ) from error
        return _read_answer(self._address, response.status, content, key)

    def _connection(self) -> http.client.HTTPConnection:
        if not hasattr(self._local, "connection"):
            try:
                self._local.connection = self._connection_class(
                    self._address, timeout=self._timeout_seconds
                )
            except http.client.InvalidURL as error:
                raise InputError(f"{self._address}: {error}") from None
        return self._local.connection


def _read_answer(address: str, status: int, content: bytes, key: str) -> Any:
    try:
        answer = json.loads(content)
    except ValueError:
        answer = content[:200].decode(errors="replace")
    if isinstance(answer, dict):
        if status == http.HTTPStatus.OK and key in answer:
            return answer[key]
        answer = answer.get("error", answer)
    told = f"status {status}: {str(answer).strip()[:1000]}"
    if status in _RETRIED_STATUSES:
        raise RetryableError(told)
    if 400 <= status < 500:
        raise InputError(f"{address} refused the request, {told}")
    raise ServerError(f"{address} cannot answer, {told}")


def _to_json(value: Any) -> Any:
    """Returns what JSON can say; bytes become base64, as the API wants."""
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, str):
        # Arguments of a command line may hold lone surrogates.
        return value.encode("utf-8", "ignore").decode()
    return value
