"""What learners, rollouts and judges on Ray share: joining a cluster, and finding room on it for a role's actors."""

import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import ray
from ray import PlacementGroupID
from ray._private import services
from ray._raylet import AuthenticationTokenLoader
from ray.exceptions import AuthenticationError
from ray.job_config import JobConfig
from ray.util import get_current_placement_group, placement_group_table
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from rostrum.trainer.config import Cluster, Config

JOINING = 60.0
"""Seconds that the nodes of a cluster that was just started are given to join it."""
ROOM = 600.0
"""Seconds to wait for room that the cluster has, but that others hold."""

ANSWER = 8.0
"""Seconds in which somebody must answer at the address of a cluster."""
ROOT = Path(__file__).parents[3]
"""Where our packages lie."""
_REAPERS: list["subprocess.Popen[bytes]"] = []

Bundle = dict[str, float]
"""What one actor asks for: "CPU", "GPU" and custom resources."""


class ClusterError(RuntimeError):
    """The cluster cannot carry the run; the message says what to do."""


def connect(settings: Config, log_to_driver: bool = False) -> None:
    """Join the configured cluster, or start a Ray of this machine's own with room for every actor of the run.

    Raises:
        ClusterError: there is no cluster at the address.
    """
    cluster = settings.cluster
    judges = cluster.judge_workers * len(settings.judge_models)
    learners = cluster.learners * settings.groups
    join(cluster.address, learners + cluster.rollout_workers + judges, log_to_driver)


def join(address: str | None, actors: int, log_to_driver: bool = False, patience: float = ANSWER) -> None:
    """Join the cluster at the address, or start a Ray of this machine's own with room for so many actors.

    Raises:
        ClusterError: there is no cluster at the address.
    """
    if ray.is_initialized():
        return
    cpus = None if address else max(actors, os.cpu_count() or 1)
    on_termination = signal.getsignal(signal.SIGTERM)
    try:
        with nullcontext() if _checked(address, patience) else _token_of_its_own():
            ray.init(
                address or "local",
                num_cpus=cpus,
                include_dashboard=False,
                log_to_driver=log_to_driver,
                logging_level=logging.ERROR,
                job_config=JobConfig(_py_driver_sys_path=_OursFirst([str(ROOT)])),
            )
    except (ConnectionError, ValueError):
        raise ClusterError(
            f"There is no Ray cluster at {address}: start one with `ray start --head`, or leave "
            "cluster.address out to use this machine alone."
        ) from None
    except AuthenticationError:
        raise ClusterError(
            f"The Ray cluster at {address} asks for another token: set RAY_AUTH_MODE and RAY_AUTH_TOKEN as they were "
            "when it was started."
        ) from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_termination)  # Ray puts its own in the place, which ends without a word


def leave() -> None:
    """Leave the cluster, or end the Ray that was started here, and forget its token: Ray keeps the token for as long
    as the process lives, and a Ray that somebody else starts in this process later would refuse it."""
    ray.shutdown()
    AuthenticationTokenLoader.instance().reset_cache()


class _OursFirst(list[str]):
    """Where workers look for packages first. Ray adds the working folder, in which anybody's ray.py may lie."""

    def extend(self, added: Iterable[str]) -> None:
        """Add nothing."""


def _checked(address: str | None, patience: float) -> bool:
    """Return whether there is a cluster to join; Ray itself waits for minutes where nobody answers.

    Raises:
        ConnectionError: nobody answers at the address as Ray does.
    """
    if address in (None, "local"):
        return False
    place = address if "://" in address else services.canonicalize_bootstrap_address(address)
    if place is None:
        raise ConnectionError
    host, _, port = place.rpartition("://")[2].rpartition(":")
    if not (host and port.isdecimal()):
        raise ConnectionError
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=patience) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0":  # Ray speaks HTTP/2: both sides begin with their settings
                connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
                if connection.recv(9)[3:4] != b"\x04":
                    raise ConnectionError
    except (OSError, OverflowError, UnicodeError):  # no such host, refused, silent; a port above 65535; no such name
        raise ConnectionError from None
    return True


@contextmanager
def _token_of_its_own() -> Iterator[None]:
    """Make the Ray that is started inside ask for a token that nobody else knows, and end with this process.

    Its processes are started with the token in their environment; this process has read it by the end.
    """
    before = {name: os.environ.pop(name, None) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")}
    token = secrets.token_hex(32)
    os.environ["RAY_AUTH_TOKEN"] = token  # without a mode Ray chooses "token"
    AuthenticationTokenLoader.instance().reset_cache()
    if os.path.isdir("/proc"):
        reaper = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("reaper.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            env={name: value for name, value in os.environ.items() if name != "RAY_AUTH_TOKEN"},
        )
        assert reaper.stdin is not None
        reaper.stdin.write(token.encode() + b"\n")
        reaper.stdin.flush()
        _REAPERS.append(reaper)  # its pipe stays open as long as this process lives
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def enter(folder: str) -> None:
    """Enter the run's folder, first of all in an actor: relative paths mean here what they mean where the run was
    started.

    Raises:
        ClusterError: this node does not have the folder.
    """
    if not os.path.isdir(folder):
        raise ClusterError(
            f"The node {socket.gethostname()} has no folder {folder}: start the run from a folder on a file system "
            "that all nodes share."
        )
    os.chdir(folder)


def learner_bundle(cluster: Cluster) -> Bundle:
    """Return what one rank asks for; a GPU where the cluster has any, unless the configuration says otherwise."""
    gpus = cluster.gpus_per_learner
    if gpus is None:
        gpus = float(ray.cluster_resources().get("GPU", 0) > 0)
    return _bundle(gpus, cluster.resources.learner)


def rollout_bundle(cluster: Cluster) -> Bundle:
    """Return what one rollout worker asks for."""
    return _bundle(cluster.gpus_per_worker, cluster.resources.rollout)


def judge_bundle(cluster: Cluster) -> Bundle:
    """Return what one judge's actor asks for."""
    return _bundle(cluster.gpus_per_judge, cluster.resources.judge)


def _bundle(gpus: float, resources: Mapping[str, float]) -> Bundle:
    return {"CPU": 1, **({"GPU": gpus} if gpus else {}), **resources}


def place(bundles: Sequence[Bundle], cluster: Cluster) -> PlacementGroup:
    """Reserve the bundles, on as few nodes as will hold them.

    Raises:
        ClusterError: the cluster does not have that much, or others held it for longer than `ROOM`.
    """
    deadline = time.monotonic() + (JOINING if cluster.address else 0)
    while not _possible(bundles):
        if time.monotonic() >= deadline:
            raise ClusterError(
                f"The run asks for {_totals(bundles)} in {len(bundles)} actors, which the cluster's nodes cannot hold "
                f"({'; '.join(map(_said, _nodes())) or 'there are none'}): lower cluster.learners, rollout_workers, "
                "judge_workers, their gpus_per_... or cluster.resources, or add nodes."
            )
        time.sleep(1)
    name = _prefix(get_current_placement_group()) + uuid.uuid4().hex
    group = placement_group(list(bundles), strategy="PACK", name=name)
    if not group.wait(ROOM):
        remove_placement_group(group)
        raise ClusterError(
            f"The run asks for {_totals(bundles)} and of the cluster only {_said(ray.available_resources())} is free: "
            "end what else runs there, or ask for less (cluster.learners, rollout_workers, judge_workers)."
        )
    return group


def check_fits(bundle: Bundle, cluster: Cluster, remedy: str) -> None:
    """Refuse a bundle that no node can hold, if not at once then when the cluster's nodes have joined it.

    Raises:
        ClusterError: none can; `remedy` says what to lower.
    """
    deadline = time.monotonic() + (JOINING if cluster.address else 0)
    while not _possible([bundle]):
        if time.monotonic() >= deadline:
            has = "; ".join(map(_said, _nodes())) or "there are none"
            raise ClusterError(f"No node of the cluster has {_said(bundle)} ({has}): lower {remedy}, or add nodes.")
        time.sleep(1)


def release(group: PlacementGroup) -> None:
    """Give the reserved room back, with what actors in it have reserved; actors that are still there end.

    Ray itself takes back what an actor has reserved only when the driver ends, not when the actor is killed.
    """
    if not ray.is_initialized():
        return
    for inner, known in placement_group_table().items():
        if known["name"].startswith(_prefix(group)) and known["state"] != "REMOVED":
            remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(inner)))
    remove_placement_group(group)


def _prefix(outer: PlacementGroup | None) -> str:
    """Return how the names of groups begin that were reserved by actors in this one, or by the driver."""
    return f"{outer.id.hex() if outer else 'driver'}/"


def actor_options(group: PlacementGroup, index: int, shared: bool = False) -> dict[str, Any]:
    """Put an actor into a bundle, all of which is its own; where two share one, each has half a CPU and half a GPU."""
    bundle = dict(group.bundle_specs[index])
    cpus, gpus = bundle.pop("CPU"), bundle.pop("GPU", 0)
    if shared:  # the bundle is on the right node already, so neither asks for custom resources
        cpus, gpus, bundle = cpus / 2, min(gpus, 1) / 2, {}
    return {
        "num_cpus": cpus,
        "num_gpus": gpus,
        "resources": bundle,
        "scheduling_strategy": PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=index),
    }


def _possible(bundles: Sequence[Bundle]) -> bool:
    """Return whether empty nodes would hold the bundles, the largest first and each on the first node with room for
    it."""
    free = [dict(node) for node in _nodes()]
    for bundle in sorted(bundles, key=_size, reverse=True):
        node = next((node for node in free if all(node.get(name, 0) >= n for name, n in bundle.items())), None)
        if node is None:
            return False
        for name, amount in bundle.items():
            node[name] = node.get(name, 0) - amount
    return True


def _size(bundle: Bundle) -> tuple[float, float, int]:
    return bundle.get("GPU", 0), bundle["CPU"], len(bundle)


def _nodes() -> list[Bundle]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _totals(bundles: Sequence[Bundle]) -> str:
    names = dict.fromkeys(name for bundle in bundles for name in bundle)
    return _said({name: sum(bundle.get(name, 0) for bundle in bundles) for name in names})


def _said(resources: Mapping[str, float]) -> str:
    """Return resources in words, e.g. "4 CPU, 0.5 GPU"; what Ray keeps for itself is left out. "4 CPU, 0.5 GPU"; what
    Ray keeps for itself is left out."""
    own = ("node:", "memory", "object_store_memory", "accelerator_type:", "bundle_group_")
    named = {name: n for name, n in resources.items() if not name.startswith(own) and "_group_" not in name}
    return ", ".join(f"{amount:g} {name}" for name, amount in sorted(named.items())) or "nothing"
