"""What an installed package adds by entry points is as good as our own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from envs import registry
from rewards import judges
from tests.conftest import ROOT

YAML = """
name: reinforce
learning_rate: 1.0e-3
questions_per_iteration: 2
debates_per_seating: 2
minibatches: 1
kl: 0.01
"""


def install(folder: Path, group: str, points: str) -> None:
    """Make the folder one from which Python imports an installed distribution with these entry points."""
    about = folder / "my_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n", "utf-8")
    (about / "entry_points.txt").write_text(f"[{group}]\n{points}\n", "utf-8")


def test_the_algorithm_of_the_handbook_trains(tmp_path: Path, small: list[str]) -> None:
    page = (ROOT / "docs" / "extending.md").read_text("utf-8")
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "reinforce" in block]
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "reinforce.py").write_text(code, "utf-8")
    install(tmp_path, "rostrum.algorithms", "reinforce = my_package.reinforce:Settings")
    (tmp_path / "reinforce.yaml").write_text(YAML, "utf-8")
    settings = [word for word in small if not word.startswith("algorithm.")]
    command = [
        sys.executable,
        "-m",
        "launch",
        "train",
        f"algorithm={tmp_path}/reinforce.yaml",
        *settings,
        "iterations=1",
        f"output={tmp_path}/run",
    ]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path)])}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=paths, check=False)
    assert done.returncode == 0, done.stderr
    assert "name: reinforce" in (tmp_path / "run" / "config.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("points", "told"),
    [
        ("gone = my_package.missing:Settings", "gone = my_package.missing:Settings of rostrum.trial cannot be loaded"),
        ("panel = json:JSONDecoder", "json:JSONDecoder adds 'panel' to rostrum.trial, and there is one already"),
    ],
)
def test_an_entry_point_that_cannot_be_used_is_named(
    points: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "rostrum.trial", points)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(registry.RegistryError, match=re.escape(told)):
        registry.kinds(judges.__name__, judges.__path__, "rostrum.trial")
