"""Which errors are the user's to mend, and the one sentence that each of them is told in."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

USER_ERROR, STOPPED = 2, 130
"""Exit codes."""
_OURS = ("envs", "rewards", "trainer", "launch")


class LaunchError(ValueError):
    """A request that the command line cannot carry out; the message says what to do."""


class Stopped(Exception):
    """The user interrupted; the message says how to go on."""


@contextmanager
def continued_with(command: str) -> Iterator[None]:
    """Turns an interruption of what is inside into `Stopped`, which names the command that goes on with it: the one
    that the user gave, where one command runs another."""
    try:
        yield
    except (KeyboardInterrupt, Stopped):
        raise Stopped(f"stopped; continue with `{command}`") from None


def sentence(error: BaseException) -> str | None:
    """What to tell the user; None for an error that is a bug and should keep its traceback.

    Every exception class that our own packages define is addressed to the user. Of other people's, these are: a full
    disk, a folder that may not be written, memory that ran out, a model that cannot be fetched or is damaged. What was
    raised in an actor of Ray's is told as if it had been raised here.
    """
    kind = type(error)
    if kind.__module__.partition(".")[0] == "ray" and isinstance(cause := getattr(error, "cause", None), BaseException):
        return sentence(cause)
    if kind.__module__.partition(".")[0] in _OURS:
        return " ".join(str(error).split())
    if _disk_was_full(error):
        return _of_the_system(OSError(errno.ENOSPC, str(error)))
    if kind.__name__ == "SafetensorError":
        return f"A model's safetensors file is damaged ({_first_line(error)}): copy or build the model folder again."
    if kind.__name__ == "OutOfMemoryError" or (kind is RuntimeError and "can't allocate memory" in str(error)):
        return (
            "The memory does not suffice: lower debater.batch_size and judge.batch_size, or learn from fewer rows at a "
            "time (algorithm.micro_batch_rows)."
        )
    return _of_the_system(error) if isinstance(error, OSError) else None


def _disk_was_full(error: BaseException) -> bool:
    """What safetensors and torch.save raise on a full disk; torch only says that less was written than it meant to."""
    if type(error).__name__ == "SafetensorError":
        return "No space left" in str(error)
    return type(error) is RuntimeError and "inline_container" in str(error) and "unexpected pos" in str(error)


def _of_the_system(error: OSError) -> str | None:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full ({error.filename or 'while writing'}): free some space, or choose another output."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename} may not be read or written: change its permissions or choose another output=FOLDER."
    if "huggingface" in str(error):
        return f"A model could not be fetched ({_first_line(error)}): give a folder with the model instead."
    return None


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0]


def tell(message: str) -> None:
    """Says it on standard error, once even when several ranks have the same to say."""
    if os.environ.get("RANK", "0") == "0":
        print(f"rostrum: {message}", file=sys.stderr, flush=True)
