"""What endpoints answered and cost is kept in SQLite files; one that is damaged is named before anything is paid."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from rostrum.rewards.endpoint.config import Endpoint
from rostrum.rewards.endpoint.ledger import Ledger
from rostrum.rewards.endpoint.messages import Reply, request
from rostrum.rewards.endpoint.replies import Replies
from rostrum.rewards.endpoint.scorer import LEDGER
from rostrum.rewards.endpoint.store import Store, StoreError

ENDPOINT = Endpoint(base_url="http://127.0.0.1:9/v1")
ASKED = request(ENDPOINT, "m", "Which?", 1, 0)
REPLY = Reply(("A \ud83d",), (("A", -0.5), ("B", -1.0)), (None, -0.25, float("-inf")), 3, None, "stop")


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(statement, values)


def kept(folder: Path) -> Path:
    Replies(folder, ENDPOINT).keep(ASKED, REPLY)
    return folder / "replies.sqlite"


def charged(folder: Path) -> Path:
    assert Ledger(folder / LEDGER, "judge", 1.0).charge(0.5)
    return folder / LEDGER


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def made_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def of_another_kind(path: Path) -> None:
    path.unlink()
    change(path, "CREATE TABLE replies (x TEXT)")
    change(path, "CREATE TABLE spent (x TEXT)")


FILES: dict[str, Callable[[Path], object]] = {
    "garbage": lambda path: path.write_bytes(b"\x00garbage" * 999),
    "text": lambda path: path.write_text("{}", "utf-8"),
    "cut off": cut,
    "a folder": made_a_folder,
    "of another kind": of_another_kind,
    "a link": lambda path: path.symlink_to(path.rename(path.with_suffix(".old"))),
    "its pages overwritten": lambda path: path.write_bytes(path.read_bytes()[:100] + b"\xff" * 4000),
}


@pytest.mark.parametrize("damage", FILES.values(), ids=FILES)
@pytest.mark.parametrize(
    ("make", "use"),
    [
        (kept, lambda path: Replies(path.parent, ENDPOINT).get(ASKED)),
        (charged, lambda path: Ledger(path, "judge", 1.0).spent),
    ],
)
def test_a_damaged_file_is_named(
    make: Callable[[Path], Path], use: Callable[[Path], object], damage: Callable[[Path], object], tmp_path: Path
) -> None:
    path = make(tmp_path)
    damage(path)
    with pytest.raises(ValueError, match=f"{path}") as told:
        use(path)
    assert type(told.value).__module__.startswith(("rostrum.rewards", "rostrum.envs")) and "\n" not in str(told.value)


@pytest.mark.parametrize("spent", ["x", "", b"\xff", 1e999, -1e999])
def test_what_was_spent_is_a_number(spent: object, tmp_path: Path) -> None:
    path = charged(tmp_path)
    change(path, "UPDATE spent SET dollars = ?", spent)
    with pytest.raises(StoreError, match=f"{path} cannot be read.*judge has spent is no number.*restore it"):
        Ledger(path, "judge", 1.0)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "{}",
        "[]",
        "null",
        "x",
        b"\xff",
        "[" * 100_000,
        '[["a"], [], [], null, -4]',
        "[[1], [], [], null, 4]",
        '[["a"], [["x"]], [], null, 4, "s"]',
        '[["a"], [["x", "y"]], [], null, 4]',
        '[["a"], [], ["x"], null, 4]',
        '[["a"], [], [], null, 4, 5]',
        f'[["a"], [], [], 1{"0" * 400}, 4]',
        '[["a"], [], [], true, 4]',
    ],
)
def test_what_was_kept_is_a_reply(reply: object, tmp_path: Path) -> None:
    path = kept(tmp_path)
    assert Replies(tmp_path, ENDPOINT).get(ASKED) == REPLY
    change(path, "UPDATE replies SET reply = ?", reply)
    with pytest.raises(StoreError, match=f"{path} cannot be read.*no reply.*remove it"):
        Replies(tmp_path, ENDPOINT).get(ASKED)


def test_a_file_that_another_process_keeps_is_named(tmp_path: Path) -> None:
    path = charged(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match=f"Another process has kept {path} for 0 seconds"):
            Store(path, "spent", "account TEXT PRIMARY KEY", "remove it", patience=0)
