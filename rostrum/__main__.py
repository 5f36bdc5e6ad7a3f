"""`python -m rostrum`: the same as `rostrum`.

Python itself puts the working folder first and takes a `rostrum` that lies there; a `datasets`, `ray` or anything else
that lies there does not take the place of a library. `python -P -m rostrum` leaves the working folder out altogether.
"""

import sys
from pathlib import Path

if not sys.flags.safe_path and sys.path[0] != str(Path(__file__).parents[1]):
    sys.path.append(sys.path.pop(0))

from rostrum.launch.cli import main  # noqa: E402

sys.exit(main())
