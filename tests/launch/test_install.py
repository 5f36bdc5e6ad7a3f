"""The script that installs Rostrum, with an interpreter that only says what it is asked; and who runs the script."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "launch" / "cluster" / "install.sh"
FIXED = "-m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt "
STAND_IN = """#!/usr/bin/env bash
echo "$PWD: $*" >> "$ASKED"
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
"""


def asked(folder: Path, *extras: str) -> list[str]:
    """What the script asks of Python, run from the folder for the environment `new` in it."""
    python = folder / "python"
    python.write_text(STAND_IN, "utf-8")
    python.chmod(0o755)
    environment = os.environ | {"PYTHON": str(python), "ASKED": str(folder / "asked")}
    subprocess.run([SCRIPT, "new", *extras], cwd=folder, env=environment, check=True)
    version, *lines = (folder / "asked").read_text("utf-8").splitlines()
    assert ": -c import sys" in version
    assert lines[0].endswith(f": -m venv {folder / 'new'}")
    assert all(line.startswith(f"{ROOT}: {FIXED}") for line in lines[1:]), "pinned, and from the checkout"
    return [line.removeprefix(f"{ROOT}: {FIXED}") for line in lines[1:]]


def test_torch_comes_before_what_looks_for_it(tmp_path: Path) -> None:
    assert asked(tmp_path) == ["torch", "--editable ."]


def test_extras_are_passed_on_and_the_tests_have_more(tmp_path: Path) -> None:
    assert asked(tmp_path, "test", "cluster") == [
        "torch",
        "--editable .[test,cluster]",
        "--no-deps -r tests/inspect-requirements.txt",
        "--no-deps --editable tests/plugin",
    ]


def test_an_old_python_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/usr/bin/env bash\nexit 1\n", "utf-8")
    python.chmod(0o755)
    environment = os.environ | {"PYTHON": str(python)}
    done = subprocess.run([SCRIPT, "new"], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (
        done.returncode == 2
        and done.stderr.startswith("Rostrum needs Python 3.11.5")
        and not (tmp_path / "new").exists()
    )


def test_a_forgotten_folder_is_asked_for() -> None:
    done = subprocess.run([SCRIPT], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("Name the folder of the new environment")


def test_the_image_and_the_makefile_run_this_script_and_no_pip_of_their_own() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    image = (ROOT / "launch" / "cluster" / "Dockerfile").read_text("utf-8")
    (run,) = re.findall(r"^RUN launch/cluster/install\.sh \.venv (.*)$", image, re.MULTILINE)
    assert set(run.split()) <= set(extras)
    assert not re.search(r"^RUN.*pip", image, re.MULTILINE)
    rule = (ROOT / "Makefile").read_text("utf-8").partition("$(READY): ")[2].partition("\n\n")[0]
    assert "launch/cluster/install.sh $(VENV) test" in rule and "pip" not in rule
    assert "/app" in (ROOT / "launch" / "cluster" / "rayjob.yaml").read_text("utf-8") and "WORKDIR /app\n" in image
