"""Joining a Ray: dead addresses are told at once, ours come first, and nothing outlives its driver."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from ray.job_config import JobConfig

from rostrum.trainer.cluster import cluster, reaper
from rostrum.trainer.cluster.cluster import ClusterError


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "127.0.0.1:99999", "no.such.host.invalid:6379"])
def test_a_dead_address_is_told_in_a_sentence(address: str) -> None:
    with pytest.raises(ClusterError, match=f"no Ray cluster at {address}"):
        cluster.join(address, 1)


def test_somebody_who_does_not_answer_is_no_cluster() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ClusterError, match=f"no Ray cluster at {address}"):
            cluster.join(address, 1, patience=0.1)


def test_workers_look_for_packages_where_ours_lie_first() -> None:
    config = JobConfig(_py_driver_sys_path=cluster._OursFirst([str(cluster.ROOT)]))
    config._py_driver_sys_path.extend([os.getcwd()])  # as ray.init does
    assert config._py_driver_sys_path == [str(cluster.ROOT)]
    assert (cluster.ROOT / "rostrum" / "trainer" / "cluster").is_dir()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks into /proc")
def test_what_has_the_token_ends_when_the_pipe_closes() -> None:
    sleep = [sys.executable, "-I", "-S", "-c", "import time; print(flush=True); time.sleep(600)"]
    token = os.urandom(8).hex()
    ours = subprocess.Popen(sleep, env={"RAY_AUTH_TOKEN": token}, stdout=subprocess.PIPE)
    other = subprocess.Popen(sleep, env={"RAY_AUTH_TOKEN": token + "0"}, stdout=subprocess.PIPE)
    for process in (ours, other):
        assert process.stdout is not None and process.stdout.readline()
    subprocess.run([sys.executable, "-I", "-S", reaper.__file__], input=f"{token}\n".encode(), check=True)
    assert ours.wait(30) and other.poll() is None
    other.kill()
    other.wait()


def test_a_token_is_for_one_ray_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "theirs")
    monkeypatch.setattr(cluster.subprocess, "Popen", _no_reaper)
    tokens = []
    for _ in range(2):
        with cluster._token_of_its_own():
            tokens.append(os.environ["RAY_AUTH_TOKEN"])
    assert os.environ["RAY_AUTH_TOKEN"] == "theirs" and len({*tokens, "theirs"}) == 3
    assert all(len(token) == 64 for token in tokens)


def test_somebody_may_start_a_ray_after_ours() -> None:
    """Ray remembers a token as long as its process lives, so it must be made to forget ours."""
    theirs = (
        "from rostrum.trainer.cluster import cluster\n"
        "cluster.join(None, 1)\n"
        "cluster.leave()\n"
        "import ray\n"
        "ray.init('local', num_cpus=1, include_dashboard=False, log_to_driver=False)\n"
        "print(ray.get(ray.remote(lambda: 'theirs').remote()))\n"
    )
    found = subprocess.run([sys.executable, "-c", theirs], capture_output=True, text=True, cwd=cluster.ROOT)
    assert found.stdout.strip().endswith("theirs"), found.stderr


class _no_reaper:  # noqa: N801
    def __init__(self, words: list[str], env: dict[str, str], **_: object) -> None:
        assert "RAY_AUTH_TOKEN" not in env
        self.stdin = open(os.devnull, "wb")  # noqa: SIM115


def test_our_own_processes_import_ours_wherever_they_start(tmp_path: Path) -> None:
    from rostrum.launch import environment

    for name in ("rostrum", "trainer", "envs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('somebody else')", "utf-8")
    found = subprocess.run(
        [sys.executable, "-P", "-m", "rostrum", "train", "--help"],
        cwd=tmp_path,
        env=environment.ours_first(),
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0 and "rostrum" in found.stdout, found.stderr
