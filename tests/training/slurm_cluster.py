"""SLURM's own controller and two nodes, each in a network of its own."""

import contextlib
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import time

from tests.training import machines
from tests.training.machines import Machines

_PATIENCE = 60


def why_not() -> str | None:
    """Returns what keeps a cluster from being made here."""
    for program in ("slurmctld", "slurmd", "sbatch", "munged"):
        if shutil.which(program) is None:
            return f"there is no {program} (slurm-wlm)"
    return machines.why_not()


class Cluster(contextlib.AbstractContextManager):
    """A controller and two nodes of one core each, node1 and node2.

    Attributes:
        environment: of the commands that ask it.
    """

    def __init__(self, folder: pathlib.Path):
        self._folder = folder
        self._machines = Machines(folder)
        self._daemons: dict[str, subprocess.Popen] = {}
        self.environment = {**os.environ, "SLURM_CONF": f"{folder}/slurm.conf"}

    def __enter__(self) -> "Cluster":
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._machines)
            stack.callback(self._kill_all)
            self._start_all()
            self._close = stack.pop_all().close
        return self

    def __exit__(self, *_) -> None:
        self._close()

    def _start_all(self) -> None:
        folder = self._folder
        for name in ("munge", "state", *machines.NAMES):
            (folder / name).mkdir()
        nodes = "".join(
            f"NodeName={name} NodeAddr={address} CPUs=1\n"
            for name, address in self._machines.addresses.items()
        )
        (folder / "slurm.conf").write_text(
            f"""\
ClusterName=tests
SlurmctldHost={os.uname().nodename}({self._machines.bridge_address})
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
{nodes}PartitionName=all Nodes=ALL Default=YES
"""
        )
        key = folder / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self._start("munge", *self._munged, "--foreground")
        self._start("controller", "slurmctld", "-D")
        for node in machines.NAMES:
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
        self._start(
            node,
            *self._machines.on(
                node,
                f"mount -t tmpfs none {self._folder}/munge; "
                f"{shlex.join(self._munged)}; exec slurmd -D -N {node}",
            ),
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

    def _kill_all(self) -> None:
        for name in self._daemons:
            self.kill(name)

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
