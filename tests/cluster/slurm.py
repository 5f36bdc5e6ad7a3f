"""A Slurm of one controller and three nodes on this machine, which leaves nothing behind.

Debian's `munge` and `slurm-wlm` bring the programs. Configuration, key, socket, state and logs lie in one folder, ports
are free ones, and nothing of the system's is read or written.
"""

import os
import pwd
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scontrol", "srun")
NODES = ("first", "second", "third")
USER = pwd.getpwuid(os.getuid()).pw_name
PATIENCE = 60.0
"""Seconds until the daemons must have answered."""


def missing() -> list[str]:
    """Return the programs that are not installed."""
    return [name for name in PROGRAMS if shutil.which(name, path=search_path()) is None]


def search_path() -> str:
    """Return where programs are looked for: daemons lie where an ordinary user's shell does not look."""
    return os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Slurm:
    """The daemons, as a context: they run inside and are gone after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {"PATH": search_path(), "SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        for name in ("state", *(f"spool-{node}" for node in NODES)):
            (self.folder / name).mkdir(parents=True, mode=0o755)
        key = self.folder / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o600)
        names = ("controller", *NODES)
        ports = dict(zip(names, free_ports(len(names)), strict=True))
        template = Path(__file__).with_name("slurm.conf").read_text("utf-8")
        filled = template.format(user=USER, host=socket.gethostname(), folder=self.folder, **ports)
        (self.folder / "slurm.conf").write_text(filled, "utf-8")
        try:
            self._start("munged", "--foreground", "--force", *self._munge_files())
            wait_for((self.folder / "munge.socket").exists, PATIENCE, self.said)
            self._start("slurmctld", "-D", "-i", "-f", str(self.folder / "slurm.conf"))
            for node in NODES:
                self._start("slurmd", "-D", "-N", node, "-f", str(self.folder / "slurm.conf"), label=node)
            wait_for(lambda: all(self.state(node).startswith("IDLE") for node in NODES), PATIENCE, self.said)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End every job with all of its processes, then the daemons."""
        if "slurmctld" in self._daemons:
            cancel = ["scancel", "--full", f"--user={USER}"]
            subprocess.run(cancel, env=self.environment, check=False, capture_output=True, timeout=PATIENCE)
        for name in reversed(self._daemons):
            self._daemons[name].terminate()
        for daemon in self._daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def _munge_files(self) -> list[str]:
        names = {
            "key-file": "munge.key",
            "socket": "munge.socket",
            "pid-file": "munged.pid",
            "seed-file": "munged.seed",
        }
        return [f"--{option}={self.folder / name}" for option, name in names.items()]

    def _start(self, name: str, *words: str, label: str = "") -> None:
        with (self.folder / f"{label or name}.out").open("ab") as out:
            self._daemons[label or name] = subprocess.Popen(
                [name, *words], env=self.environment, stdout=out, stderr=out, cwd=self.folder
            )

    def kill_node(self, node: str) -> None:
        """Kill a node's daemon and whatever runs on the node, as when the machine loses its power."""
        jobs = [process for process in self.processes() if f"SLURMD_NODENAME={node}" in environment_of(process)]
        keepers = {parent for process in jobs for parent in process.parents() if parent.name() == "slurmstepd"}
        # Slurm's own first: none of them may live to report how the job's processes ended.
        for process in [psutil.Process(self._daemons[node].pid), *keepers, *jobs]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._daemons.pop(node).wait()

    def processes(self) -> list[psutil.Process]:
        """Return the processes that were started with this Slurm's configuration, other than the daemons."""
        daemons = {daemon.pid for daemon in self._daemons.values() if daemon.poll() is None}
        ours = f"SLURM_CONF={self.folder / 'slurm.conf'}"
        return [
            process
            for process in psutil.process_iter()
            if process.pid not in daemons and ours in environment_of(process)
        ]

    def run(self, *words: str, **environment: str) -> str:
        """Return what one of Slurm's commands prints."""
        done = subprocess.run(
            words, env=self.environment | environment, check=False, capture_output=True, text=True, timeout=PATIENCE
        )
        assert done.returncode == 0, (words, done.stderr, self.said())
        return done.stdout

    def job(self, number: str) -> dict[str, str]:
        """Return what the controller knows of a job."""
        return fields(self.run("scontrol", "--oneliner", "show", "job", number))

    def state(self, node: str) -> str:
        """Return the state of a node; nothing while the controller does not answer."""
        words = ["scontrol", "--oneliner", "show", "node", node]
        done = subprocess.run(
            words, env=self.environment, check=False, capture_output=True, text=True, timeout=PATIENCE
        )
        return fields(done.stdout).get("State", "")

    def said(self) -> str:
        """Return the ends of the daemons' logs."""
        logs = sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")])
        return "\n".join(f"== {log.name}\n{log.read_text(errors='replace')[-2000:]}" for log in logs)


def fields(line: str) -> dict[str, str]:
    """Return the KEY=VALUE words of a line of scontrol's."""
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def environment_of(process: psutil.Process) -> set[str]:
    """Return the KEY=VALUE words that a process was started with; none where it is gone."""
    try:
        return {f"{name}={value}" for name, value in process.environ().items()}
    except psutil.Error:
        return set()


def wait_for(happened: Callable[[], bool], seconds: float, said: Callable[[], str]) -> None:
    """Wait until something has happened, and fail with what was said where it does not."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, said()
        time.sleep(0.2)
