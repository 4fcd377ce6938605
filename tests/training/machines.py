"""Two machines on this one: each has a network, a cable and a name."""

import contextlib
import os
import pathlib
import shutil
import subprocess

NAMES = ("node1", "node2")


def why_not() -> str | None:
    """Returns what keeps networks from being made here."""
    if shutil.which("ip") is None:
        return "there is no ip (iproute2)"
    if os.geteuid():
        return "networks are made by root"
    done = subprocess.run(
        ["unshare", "--net", "true"], capture_output=True, check=False
    )
    return "networks cannot be made here" if done.returncode else None


class Machines(contextlib.AbstractContextManager):
    """Networks that are joined by a bridge, until they are left.

    Attributes:
        addresses: of the machines, by name.
        bridge_address: of this machine, as they see it.
    """

    def __init__(self, folder: pathlib.Path):
        # Tests run in several processes.
        process = os.getpid()
        network = f"10.{process // 250 % 250}.{process % 250}"
        self.bridge_address = f"{network}.254"
        self.addresses = {
            name: f"{network}.{i}" for i, name in enumerate(NAMES, 1)
        }
        self._bridge = f"bridge{process}"
        self._networks = {name: f"{name}-{process}" for name in NAMES}
        self._hosts = folder / "hosts"

    def __enter__(self) -> "Machines":
        self._hosts.write_text(
            "127.0.0.1 localhost\n"
            + "".join(
                f"{address} {name}\n"
                for name, address in self.addresses.items()
            )
        )
        _ip(f"link add {self._bridge} type bridge")
        _ip(f"addr add {self.bridge_address}/24 dev {self._bridge}")
        _ip(f"link set {self._bridge} up")
        for name, network in self._networks.items():
            _ip(f"netns add {network}")
            _ip(f"link add {network} type veth peer name eth0 netns {network}")
            _ip(f"link set {network} master {self._bridge} up")
            _ip(f"-n {network} addr add {self.addresses[name]}/24 dev eth0")
            _ip(f"-n {network} link set eth0 up")
            _ip(f"-n {network} link set lo up")
        return self

    def __exit__(self, *_) -> None:
        for network in self._networks.values():
            _ip(f"netns del {network}")
        _ip(f"link del {self._bridge}")

    def on(self, name: str, command: str) -> list[str]:
        """Returns what runs a command of bash on a machine, and all it starts.

        Whoever kills it kills all of that.
        """
        return [
            *("nsenter", f"--net=/run/netns/{self._networks[name]}"),
            *("unshare", "--uts", "--mount", "--pid", "--fork"),
            *("--kill-child", "--mount-proc", "bash", "-ec"),
            f"hostname {name}; mount --bind {self._hosts} /etc/hosts; "
            f"{command}",
        ]

    def unplug(self, name: str) -> None:
        """Pulls a machine's cable: what is sent is lost, nobody is told."""
        _ip(f"link set {self._networks[name]} down")

    def plug(self, name: str) -> None:
        """Puts the cable in again."""
        _ip(f"link set {self._networks[name]} up")


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)
