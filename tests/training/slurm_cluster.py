"""SLURM's own controller and two nodes, each in a network of its own."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import time

_PATIENCE = 60
_NODES = ("node1", "node2")
_NETWORK = "10.213.7"
_CONTROLLER = f"{_NETWORK}.254"
_BRIDGE, _CABLES = "slurm-bridge", ("slurm-1", "slurm-2")
_PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged", "ip")


def why_not() -> str | None:
    """Returns what keeps a cluster from being made here."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"there is no {', '.join(missing)} (slurm-wlm, iproute2)"
    if os.geteuid():
        return "networks are made by root"
    done = subprocess.run(["ip", "netns", "add", "slurm-try"], check=False)
    subprocess.run(["ip", "netns", "del", "slurm-try"], check=False)
    return "networks cannot be made here" if done.returncode else None


class Cluster(contextlib.AbstractContextManager):
    """A controller and two nodes of one core each.

    Attributes:
        environment: of the commands that ask it.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._daemons: dict[str, subprocess.Popen] = {}
        self.environment = {**os.environ, "SLURM_CONF": f"{folder}/slurm.conf"}

    def __enter__(self) -> "Cluster":
        try:
            self._start_all()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        """Ends it and takes its networks away."""
        for name in list(self._daemons):
            self.kill(name)
        self._remove_networks()

    def _start_all(self) -> None:
        folder = self._folder
        # Those of a run of the tests that was killed.
        self._remove_networks()
        self._build_networks()
        for name in ("munge", "state", *_NODES):
            (folder / name).mkdir()
        (folder / "slurm.conf").write_text(
            f"""\
ClusterName=tests
SlurmctldHost={os.uname().nodename}({_CONTROLLER})
SlurmUser=root
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
ReturnToService=2
SlurmdTimeout=5
KillWait=5
MpiDefault=none
NodeName=node1 NodeAddr={_NETWORK}.1 CPUs=1
NodeName=node2 NodeAddr={_NETWORK}.2 CPUs=1
PartitionName=all Nodes=ALL Default=YES
"""
        )
        key = folder / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self._start("munge", *self._munged, "--foreground")
        self._start("controller", "slurmctld", "-D")
        for node in _NODES:
            self.start(node)
        self.wait_until(lambda: self.ask("sinfo", "-h", "-o%D %t") == "2 idle")

    def ask(self, *command: str) -> str:
        """Returns what a command of SLURM prints."""
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def start(self, node: str) -> None:
        """Starts a node: again, if it was killed."""
        folder, munged = self._folder, shlex.join(self._munged)
        self._start(
            node,
            *("nsenter", f"--net=/run/netns/{node}", "unshare", "--uts"),
            *("--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
            *("bash", "-ec"),
            f"hostname {node}; mount --bind {folder}/hosts /etc/hosts; "
            f"mount -t tmpfs none {folder}/munge; {munged}; "
            f"exec slurmd -D -N {node}",
        )

    def kill(self, node: str) -> None:
        """Kills all that runs on a node, as if its plug were pulled."""
        os.killpg(self._daemons[node].pid, signal.SIGKILL)
        self._daemons[node].wait()

    def wait_until(self, condition, seconds: float = _PATIENCE) -> None:
        """Waits for a condition.

        Raises:
            AssertionError: it does not come true.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def log(self) -> str:
        """Returns what the daemons said."""
        logs = sorted(self._folder.glob("*.log"))
        return "\n".join(f"{log.name}:\n{log.read_text()}" for log in logs)

    def _remove_networks(self) -> None:
        for words in (
            *(f"netns del {node}" for node in _NODES),
            *(f"link del {name}" for name in (_BRIDGE, *_CABLES)),
        ):
            subprocess.run(
                ["ip", *words.split()], stderr=subprocess.DEVNULL, check=False
            )

    def _build_networks(self) -> None:
        hosts = "".join(
            f"{_NETWORK}.{i} {node}\n" for i, node in enumerate(_NODES, 1)
        )
        (self._folder / "hosts").write_text(f"127.0.0.1 localhost\n{hosts}")
        commands = [
            f"ip link add {_BRIDGE} type bridge",
            f"ip addr add {_CONTROLLER}/24 dev {_BRIDGE}",
            f"ip link set {_BRIDGE} up",
        ]
        for i, (node, cable) in enumerate(zip(_NODES, _CABLES, strict=True), 1):
            commands += [
                f"ip netns add {node}",
                f"ip link add {cable} type veth peer name eth0 netns {node}",
                f"ip link set {cable} master {_BRIDGE} up",
                f"ip -n {node} addr add {_NETWORK}.{i}/24 dev eth0",
                f"ip -n {node} link set eth0 up",
                f"ip -n {node} link set lo up",
            ]
        for command in commands:
            subprocess.run(command.split(), check=True)

    @property
    def _munged(self) -> list[str]:
        """The command that proves who speaks, on each machine its own."""
        folder = self._folder / "munge"
        return [
            *("munged", "--force", f"--key-file={self._folder}/key"),
            *(f"--{name}-file={folder}/{name}" for name in ("log", "pid")),
            *(f"--seed-file={folder}/seed", f"--socket={folder}/socket"),
        ]

    def _start(self, name: str, *command: str) -> None:
        with open(self._folder / f"{name}.log", "a") as log:
            self._daemons[name] = subprocess.Popen(
                command,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
