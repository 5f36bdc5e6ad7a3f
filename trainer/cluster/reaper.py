"""Ends what a Ray has left when the process that started it was killed; run as a script, with nothing imported.

Ray's own agents notice only after half a minute, or never, that their cluster is gone. This process holds the end of a
pipe that closes when the driver is gone, however it ends, and then ends every process that was started with the token
of that Ray in its environment: first by asking, so that trainings say how to go on, then by force.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator

GRACE = 5.0
"""Seconds from asking to force."""


def left(token: bytes) -> Iterator[int]:
    """Yield the processes that were started with this token in their environment."""
    for name in os.listdir("/proc"):
        if name.isdecimal() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    variables = file.read().split(b"\0")
            except OSError:  # it has ended, or is another user's
                continue
            if b"RAY_AUTH_TOKEN=" + token in variables:
                yield int(name)


def end(token: bytes) -> None:
    """End them all."""
    asked, deadline = set[int](), time.monotonic() + GRACE
    while there := set(left(token)):
        late = time.monotonic() >= deadline
        for process in there if late else there - asked:
            try:
                os.kill(process, signal.SIGKILL if late else signal.SIGTERM)
            except (ProcessLookupError, PermissionError):
                continue
        asked |= there
        if time.monotonic() >= deadline + GRACE:
            return
        time.sleep(0.1)


if __name__ == "__main__":
    given = sys.stdin.buffer.readline().strip()
    sys.stdin.buffer.read()
    if given:
        end(given)
