"""The child process around a vLLM model.

vLLM wants a process to itself: it seeds the global random generators, opens torch's default process group, which a
DeepSpeed learner needs, and rewrites model classes of transformers, which the learner uses. So each model runs in a
child that only tokens and numbers pass to and from. The child ends with the last `VllmProcess` that refers to it, and
at once when its parent is killed.
"""

import contextlib
import multiprocessing
import os
import threading
import traceback
import weakref
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from rostrum.trainer.engines import sleeping
from rostrum.trainer.engines.errors import EngineError, EngineLost
from rostrum.trainer.engines.vllm.served import ServerSetup
from rostrum.trainer.models.loading import default_device

_PATIENCE = 10.0
"""Seconds that a child is given to end by itself."""


class VllmProcess:
    """A `VllmServer` in a child process. `call` runs one of its methods there.

    Raises:
        EngineError: vLLM cannot serve this model here.
    """

    def __init__(self, setup: ServerSetup) -> None:
        # A forked server has vLLM imported already; a CUDA context cannot be forked, so on GPUs each child starts anew.
        context: Any = multiprocessing.get_context("spawn" if default_device() == "cuda" else "forkserver")
        context.set_forkserver_preload(["rostrum.trainer.engines.vllm.server"])
        self._connection, theirs = context.Pipe()
        alone = setup.tensor_parallel == 1  # a process of vLLM's own for each further part, which daemons cannot start
        self._process = context.Process(target=_serve, args=(theirs, setup), daemon=alone)
        self._process.start()
        theirs.close()
        weakref.finalize(self, _end, self._connection, self._process)
        self.max_context = int(self._answer())
        if setup.sleep:
            sleeping.register(self)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return int(self._process.pid)

    @property
    def alive(self) -> bool:
        """Whether the child still runs."""
        return bool(self._process.is_alive())

    def call(self, method: str, *arguments: Any) -> Any:
        """Return the result of `VllmServer.method(*arguments)`.

        Raises:
            EngineError: vLLM raised something, or the child is no more.
        """
        with contextlib.suppress(BrokenPipeError):  # the child is no more, which the answer will say
            self._connection.send((method, arguments))
        return self._answer()

    def sleep(self) -> None:
        """Give the memory of the GPU back until the next call."""
        if self.alive:
            self.call("sleep")

    def _answer(self) -> Any:
        try:
            result, error, trace = self._connection.recv()
        except (EOFError, ConnectionResetError):
            self._process.join(_PATIENCE)
            raise EngineLost(
                f"The vLLM process ended by itself (exit code {self._process.exitcode}): look for memory pressure, "
                "lower gpu_memory_fraction or batch_size, or set VLLM_LOGGING_LEVEL=INFO to see why."
            ) from None
        if error is not None:
            cause = RuntimeError(trace)
            raise EngineError(f"vLLM failed ({error}): use engine=transformers where vLLM cannot do it.") from cause
        return result


def _end(connection: Connection, process: BaseProcess) -> None:
    connection.close()
    process.join(_PATIENCE)
    if process.is_alive():
        process.kill()
        process.join()


def _serve(connection: Connection, setup: ServerSetup) -> None:
    """Live the child's whole life: start the model and answer calls until the other end is closed."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    _leave_the_ranks()
    from rostrum.trainer.engines.vllm.server import VllmServer

    if os.environ["VLLM_LOGGING_LEVEL"] == "ERROR":
        _hush()
    try:
        server = VllmServer(setup)
        connection.send((server.max_context, None, None))
        while True:
            method, arguments = connection.recv()
            connection.send((getattr(server, method)(*arguments), None, None))
    except EOFError:
        pass  # the parent has closed its end: all is done
    except Exception as error:  # the process ends here, as vLLM cannot go on after a failure; the parent raises it
        first_line = str(error).strip().partition("\n")[0]
        connection.send((None, f"{type(error).__name__}: {first_line}", traceback.format_exc()))
    os._exit(0)  # whatever vLLM would tidy up goes with the process


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _leave_the_ranks() -> None:
    """Leave the ranks: a model is served by one process, whatever number of learners torchrun has started around it."""
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)


def _hush() -> None:
    """Silence loading bars and warnings of vLLM's kernels, which would tear the run's own lines."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
