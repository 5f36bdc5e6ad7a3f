"""What is written is there whole or not at all, and never where a link leads."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rostrum.envs import files
from rostrum.envs.files import FilesError


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "victim"
    path.parent.mkdir()
    path.write_text("precious", "utf-8")
    return path


WRITERS: list[Callable[[Path], object]] = [
    lambda path: files.write_atomically(path, "mine"),
    lambda path: files.append(path, "mine"),
    lambda path: files.checked(path).write_text("mine", "utf-8"),
]


@pytest.mark.parametrize("write", WRITERS)
def test_nothing_is_written_through_a_link(write: Callable[[Path], object], run: Path, victim: Path) -> None:
    (run / "report.html").symlink_to(victim)
    (run / "dangling").symlink_to(victim.with_name("new"))
    (run / "figures").symlink_to(victim.parent)
    with files.guarded(run):
        for name in ("report.html", "dangling", "figures/victim", "figures/new", "figures/deep/new"):
            with pytest.raises(FilesError, match="is a link, and nothing is written through links"):
                write(run / name)
    assert [path.name for path in victim.parent.iterdir()] == ["victim"] and victim.read_text("utf-8") == "precious"


@pytest.mark.parametrize("write", WRITERS)
def test_nothing_is_written_outside_the_run(write: Callable[[Path], object], run: Path, victim: Path) -> None:
    with files.guarded(run), pytest.raises(FilesError, match="leads out of"):
        write(run / "arms" / ".." / ".." / "elsewhere" / "victim")
    assert victim.read_text("utf-8") == "precious"


def test_links_above_a_run_are_the_users_own(run: Path, tmp_path: Path) -> None:
    (tmp_path / "runs").symlink_to(run)
    with files.guarded(tmp_path / "runs"):
        files.write_atomically(tmp_path / "runs" / "pages" / "a.html", "text")
    assert (run / "pages" / "a.html").read_text("utf-8") == "text"


def test_a_temporary_name_cannot_be_foreseen(run: Path, victim: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (".summary.json.tmp", "summary.json.partial"):
        (run / name).symlink_to(victim)
    used: list[str] = []
    replace = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, to: used.append(self.name) or replace(self, to))
    files.write_atomically(run / "summary.json", "one")
    files.write_atomically(run / "summary.json", b"two")
    assert len(set(used)) == 2 and (run / "summary.json").read_bytes() == b"two"
    assert victim.read_text("utf-8") == "precious"


def test_a_failed_write_leaves_what_was_there(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_atomically(run / "summary.json", "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomically(run / "summary.json", "new")
    assert [path.name for path in run.iterdir()] == ["summary.json"]
    assert (run / "summary.json").read_text("utf-8") == "old"


def test_modes_follow_the_umask(run: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write_atomically(run / "a", "")
        files.append(run / "b", "")
    finally:
        os.umask(before)
    assert [(run / name).stat().st_mode & 0o777 for name in "ab"] == [0o640, 0o640]


def test_a_copy_made_of_hard_links_stays_as_it_was(run: Path, tmp_path: Path) -> None:
    files.append(run / "metrics.jsonl", "1\n")
    os.link(run / "metrics.jsonl", tmp_path / "copy")
    files.append(run / "metrics.jsonl", "2\n", "3\n")
    assert (run / "metrics.jsonl").read_text("utf-8") == "1\n2\n3\n"
    assert (tmp_path / "copy").read_text("utf-8") == "1\n"


def test_lone_surrogates_are_written_as_json_writes_them(run: Path) -> None:
    files.write_atomically(run / "a", "caf\u00e9 \ud83d \udcff")
    assert (run / "a").read_text("utf-8") == "caf\u00e9 \\ud83d \\udcff"


@pytest.mark.parametrize("write", [*WRITERS, files.make_folder, files.make_new_folder, files.remove_folder])
def test_a_file_in_the_way_is_named(write: Callable[[Path], object], run: Path) -> None:
    (run / "file").write_text("", "utf-8")
    (run / "folder").mkdir()
    target = run / ("folder" if write in WRITERS else "file")
    with pytest.raises(FilesError, match=f"{target}"):
        write(target)
    if write is not files.remove_folder:
        with pytest.raises(FilesError, match=f"{run / 'file'} is a file"):
            write(run / "file" / "deep" / "er")


def test_a_new_folder_is_empty(run: Path) -> None:
    assert files.make_new_folder(run / "a" / "b").is_dir()
    (run / "a" / "b" / "c").touch()
    with pytest.raises(FilesError, match="is not empty"):
        files.make_new_folder(run / "a" / "b")


def test_a_folder_is_replaced_at_once_or_not_at_all(run: Path, victim: Path) -> None:
    policy = run / "iteration-0001"
    (run / f".{policy.name}.0123456789abcdef.tmp").mkdir()  # of a killed process
    with files.replacing_folder(policy) as folder:
        (folder / "weights").write_text("one", "utf-8")
        assert not policy.exists()
    with pytest.raises(KeyError), files.replacing_folder(policy) as folder:
        (folder / "weights").write_text("two", "utf-8")
        raise KeyError
    assert [path.name for path in run.iterdir()] == [policy.name]
    assert (policy / "weights").read_text("utf-8") == "one"
    (run / "link").symlink_to(victim.parent)
    for change in (files.remove_folder, lambda path: files.replacing_folder(path).__enter__()):
        with pytest.raises(FilesError, match="is a link"):
            change(run / "link")
    assert victim.exists()


def test_a_folder_that_another_library_writes_in_holds_no_link(run: Path, victim: Path) -> None:
    (run / "trainer" / "checkpoint-2").mkdir(parents=True)
    files.check_no_links(run / "trainer")
    (run / "trainer" / "checkpoint-2" / "optimizer.pt").symlink_to(victim)
    with pytest.raises(FilesError, match=r"optimizer\.pt is a link"):
        files.check_no_links(run / "trainer")
