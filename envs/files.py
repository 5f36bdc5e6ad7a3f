"""Writing files: whole or not at all, never through a link, never outside the folder that a command works in.

A folder that somebody else has made may hold links that lead out of it. What is written under a `guarded` folder is
refused if a link, or "..", stands anywhere between that folder and the file; links above the folder are the user's own
(a run folder may lie on another disk).
"""

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_GUARDED: list[Path] = []
_LEFTOVER = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")


class FilesError(ValueError):
    """A file that may not be written; the message says what to do."""


@contextmanager
def guarded(folder: Path) -> Iterator[None]:
    """Refuse links under this folder to everything that is written under it inside the block, in every thread."""
    _GUARDED.append(_absolute(folder))
    try:
        yield
    finally:
        _GUARDED.remove(_absolute(folder))


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file that is there either whole or not at all; its mode follows the umask.

    Characters that UTF-8 cannot encode (lone surrogates) are written as JSON writes them, `\\udc80`.

    Raises:
        FilesError: the file, or a folder on the way, is a link or no file.
    """
    make_folder(path.parent)
    _check_target(path)
    temporary = path.with_name(f".{_short(path.name)}.{secrets.token_hex(8)}.tmp")
    try:
        with _create(temporary) as file:
            file.write(_encoded(content))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def append(path: Path, *contents: str | bytes) -> None:
    """Add to the end of a file, one write for each content, and return once they are on the disk.

    A file that has other hard links is copied first, so that a copy of the run made with links stays as it was.

    Raises:
        FilesError: the file, or a folder on the way, is a link or no file.
    """
    make_folder(path.parent)
    _check_target(path)
    if path.exists() and path.stat().st_nlink > 1:
        write_atomically(path, path.read_bytes())
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o666), "ab") as file:
        for content in contents:
            file.write(_encoded(content))
            file.flush()
        os.fsync(file.fileno())


def checked(path: Path) -> Path:
    """Return the path for a library that opens it by itself, once its folder is there and nothing leads elsewhere.

    Raises:
        FilesError: the file, or a folder on the way, is a link or no file.
    """
    make_folder(path.parent)
    _check_target(path)
    return path


def make_folder(folder: Path) -> Path:
    """Make a folder and those above it, where they are missing.

    Raises:
        FilesError: something on the way is a link that may not be followed, or a file.
    """
    _refuse_links(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next((path for path in (folder, *folder.parents) if os.path.lexists(path) and not path.is_dir()), folder)
        raise FilesError(f"{file} is a file, and a folder is needed there: choose another output.") from None
    return folder


def make_new_folder(folder: Path) -> Path:
    """Make a folder that holds nothing yet.

    Raises:
        FilesError: there is something in it, or it is a file.
    """
    if make_folder(folder) and any(folder.iterdir()):
        raise FilesError(f"{folder} is not empty: choose another output=FOLDER.")
    return folder


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder for the block to fill, which takes the place of `folder` at the end, or vanishes on an error.

    Raises:
        FilesError: the folder, or one on the way, is a link or a file.
    """
    make_folder(folder.parent)
    _refuse_links(folder)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FilesError(f"{folder} is a link or a file, and a folder is needed there: remove it.")
    with temporary_folder(folder.parent, folder.name) as temporary:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)


@contextmanager
def temporary_folder(parent: Path, name: str) -> Iterator[Path]:
    """Yield a new folder for other libraries to write in, under a hidden name that nobody can foresee; it is gone at
    the end. What killed processes have left under such names is removed.

    Raises:
        FilesError: the folder that it is to lie in is a file, or a link leads there.
    """
    make_folder(parent)
    remove_leftovers(parent, name)
    temporary = parent / f".{_short(name)}.{secrets.token_hex(8)}.tmp"
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_way(path: Path) -> None:
    """Refuse a path that another process is going to write at, if a link leads there.

    Raises:
        FilesError: there is a link between a guarded folder and it, or "..".
    """
    _refuse_links(path)


def check_no_links(folder: Path) -> None:
    """Refuse a folder in which another library is going to write, if there is a link in it or on the way to it.

    Raises:
        FilesError: there is a link.
    """
    _refuse_links(folder)
    for path in [folder, *folder.rglob("*")]:
        if path.is_symlink():
            raise FilesError(f"{path} is a link, and nothing is written through links: remove it.")


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, if it is there; links in it are removed, never followed.

    Raises:
        FilesError: it is a link or a file, or a link leads to it.
    """
    _refuse_links(folder)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FilesError(f"{folder} is a link or a file, where a folder should be: remove it.")
    if folder.exists():
        shutil.rmtree(folder)


def remove_file(path: Path) -> None:
    """Remove a file if it is there; a link in its place is removed, not followed.

    Raises:
        FilesError: a link leads to it.
    """
    _refuse_links(path.parent)
    path.unlink(missing_ok=True)


def remove_leftovers(folder: Path, name: str = "") -> None:
    """Remove what killed processes left half written in a folder: all of it, or only what was to become `name`."""
    for path in list(folder.iterdir()) if folder.is_dir() else ():
        if path.name.startswith(f".{_short(name)}") and _LEFTOVER.fullmatch(path.name):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _check_target(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        raise FilesError(f"{path} is a link, and nothing is written through links: remove it.")
    if not stat.S_ISREG(mode):
        raise FilesError(f"{path} is no file, and a file is to be written there: remove it, or choose another output.")


def _refuse_links(path: Path) -> None:
    """Refuse a path under a guarded folder if a link or ".." stands between the two."""
    whole = _absolute(path)
    for folder in _GUARDED:
        if folder != whole and folder not in whole.parents:
            continue
        parts = whole.relative_to(folder).parts
        if ".." in parts:
            raise FilesError(f"{path} leads out of {folder}: choose names without '..'.")
        for depth in range(1, len(parts) + 1):
            if (step := folder.joinpath(*parts[:depth])).is_symlink():
                raise FilesError(f"{step} is a link, and nothing is written through links: remove it.")


def _create(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o666), "wb")


def _encoded(content: str | bytes) -> bytes:
    return content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace")


def _absolute(path: Path) -> Path:
    return Path(path).absolute()


def _short(name: str) -> str:
    """Return as much of a file's name as leaves room, within 255 bytes, for what a temporary name adds."""
    return name if len(name.encode("utf-8", "surrogateescape")) <= 220 else name[:50]
