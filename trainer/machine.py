"""What this machine has, and how this process was started; torch is imported when it is asked about."""

import errno
import importlib.util
import os
import shutil
import time
from functools import cached_property
from pathlib import Path

BUILD_TIME = 1800.0
"""Seconds in which any of DeepSpeed's operators is built."""


class MachineError(ValueError):
    """Something that a run needs is not on this machine; the message says what to do."""


class Machine:
    """The machine of this process."""

    @cached_property
    def has_gpu(self) -> bool:
        import torch

        return torch.cuda.is_available()

    @property
    def under_torchrun(self) -> bool:
        """Whether this process is one of several ranks."""
        return "RANK" in os.environ

    @property
    def ranks(self) -> int:
        """How many ranks there are."""
        return int(os.environ.get("WORLD_SIZE", 1))

    @property
    def has_deepspeed(self) -> bool:
        return importlib.util.find_spec("deepspeed") is not None

    def check_build(self, offload: str) -> None:
        """Ask for what DeepSpeed's operators are compiled with.

        They are compiled when they are first used, and for offloading its Adam for CPUs, without which it does not
        offload; a build that was killed leaves a lock that is waited on for ever.

        Raises:
            MachineError: there is nothing to compile with, or there is such a lock.
        """
        from torch.utils.cpp_extension import get_default_build_root, is_ninja_available

        if offload != "none" and not (shutil.which(os.environ.get("CXX", "c++")) and is_ninja_available()):
            raise MachineError(
                f"cluster.offload={offload} needs DeepSpeed's Adam for CPUs, which is compiled when it is first used: "
                "install a C++ compiler and ninja (`pip install ninja`), or choose cluster.offload=none."
            )
        for lock in Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root()).glob("*/*/lock"):
            if time.time() - lock.stat().st_mtime > BUILD_TIME:
                raise MachineError(f"A build of DeepSpeed's operators was cut off and left {lock}: remove that file.")


def memory_ran_out(error: BaseException) -> bool:
    """Return whether this is what Python, torch, the loader of libraries or the system say when there is no memory
    left."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    told = ("can't allocate memory", "failed to map segment", "Cannot allocate memory", "(os error 12)")
    known = isinstance(error, RuntimeError | ImportError | OSError) or type(error).__name__ == "SafetensorError"
    return known and any(words in str(error) for words in told)


def memory_room() -> int:
    """Return the bytes of memory that this process has or could have: all of the machine's where the system does not
    tell what others leave."""
    page = os.sysconf("SC_PAGE_SIZE")
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        (available,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        return available + int(Path("/proc/self/statm").read_text("ascii").split()[1]) * page
    except (OSError, ValueError):
        return page * os.sysconf("SC_PHYS_PAGES")
