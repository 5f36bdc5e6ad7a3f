"""Which errors are the user's to mend, and the one sentence that each of them is told in."""

import difflib
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rostrum.trainer.machine import memory_ran_out

USER_ERROR, STOPPED = 2, 130
"""Exit codes."""
_IN_THE_WAY = {
    errno.ENOENT: "is not there: put it back, or give another path",
    errno.ENOTDIR: "leads through a file: give a path through folders only",
    errno.EISDIR: "is a folder, and a file is needed there: remove it, or give another path",
    errno.EEXIST: "is there already: remove it, or choose another output",
    errno.ENOTEMPTY: "is not empty: remove it, or choose another output",
    errno.ELOOP: "is a link: give a path without links, or remove it",
    errno.ENAMETOOLONG: "is too long a name for a file: choose a shorter one",
}
_OURS = "rostrum"


class LaunchError(ValueError):
    """A request that the command line cannot carry out; the message says what to do."""


class Stopped(Exception):
    """The user interrupted; the message says how to go on."""


@contextmanager
def continued_with(command: str) -> Iterator[None]:
    """Turn an interruption of what is inside into `Stopped`, which names the command that goes on with it: the one that
    the user gave, where one command runs another."""
    try:
        yield
    except (KeyboardInterrupt, Stopped):
        raise Stopped(f"stopped; continue with `{command}`") from None


def sentence(error: BaseException) -> str | None:
    """Return what to tell the user; None for an error that is a bug and should keep its traceback.

    Every exception class that our own packages define is addressed to the user. Of other people's, these are: a full
    disk, a folder that may not be written, memory that ran out, a model that cannot be fetched or is damaged. What was
    raised in an actor of Ray's is told as if it had been raised here.
    """
    kind = type(error)
    if kind.__module__.partition(".")[0] == "ray" and isinstance(cause := getattr(error, "cause", None), BaseException):
        return sentence(cause)
    if kind.__module__.partition(".")[0] == _OURS:
        return " ".join(str(error).split())
    if _disk_was_full(error):
        return _of_the_system(OSError(errno.ENOSPC, str(error)))
    if kind.__name__ == "SafetensorError" and not memory_ran_out(error):
        return f"A model's safetensors file is damaged ({_first_line(error)}): copy or build the model folder again."
    if memory_ran_out(error):
        return (
            "The memory does not suffice: lower debater.batch_size and judge.batch_size, or learn from fewer rows at a "
            "time (algorithm.micro_batch_rows)."
        )
    if kind is RuntimeError and "can't start new thread" in str(error):
        return "No more threads can be started: raise the limit on processes (ulimit -u), or set OMP_NUM_THREADS=1."
    if _name_is_none(error):
        return f"No file can have such a name, with a null or half a character in it ({error}): give another path."
    return _of_the_system(error) if isinstance(error, OSError) else None


def _name_is_none(error: BaseException) -> bool:
    """Return whether this is what Python raises for paths before the system is asked."""
    if isinstance(error, UnicodeEncodeError):
        return error.reason == "surrogates not allowed"
    return type(error) is ValueError and str(error).startswith("embedded null")


def _disk_was_full(error: BaseException) -> bool:
    """Return whether this is what safetensors and torch.save raise on a full disk; torch only says that less was
    written than it meant to."""
    if type(error).__name__ == "SafetensorError":
        return "No space left" in str(error)
    return type(error) is RuntimeError and "inline_container" in str(error) and "unexpected pos" in str(error)


def _of_the_system(error: OSError) -> str | None:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full ({error.filename or 'while writing'}): free some space, or choose another output."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename} may not be read or written: change its permissions or choose another output=FOLDER."
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "Too many files are open: raise the limit (ulimit -n), or let fewer processes run at a time."
    if error.errno in (errno.EIO, errno.ESTALE):
        return f"The disk cannot be read or written ({error.filename or _first_line(error)}): see to it, then go on."
    if error.filename is not None and error.errno in _IN_THE_WAY:
        return f"{_name(error.filename)} {_IN_THE_WAY[error.errno]}."
    if "huggingface" in str(error):
        return f"A model could not be fetched ({_first_line(error)}): give a folder with the model instead."
    return None


def _name(path: object) -> str:
    return os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else str(path)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


def tell(message: str) -> None:
    """Say it on standard error, once even when several ranks have the same to say. A terminal obeys nothing in it."""
    from rostrum.trainer.terminal import visible

    if os.environ.get("RANK", "0") == "0":
        print(f"rostrum: {visible(message)}", file=sys.stderr, flush=True)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a reader would take for the one that is given; None where none is near."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)), None)
