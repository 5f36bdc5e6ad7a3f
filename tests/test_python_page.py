"""Every block of docs/python.md runs, by itself and in under twenty lines."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text("utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the blocks keep their runs."""
    return tmp_path_factory.mktemp("python")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_a_block_runs(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    code = BLOCKS[number]
    assert len(code.splitlines()) < 20
    exec(compile(code, f"docs/python.md, block {number + 1}", "exec"), {})  # our own page
    assert "print(" not in code or capsys.readouterr().out
