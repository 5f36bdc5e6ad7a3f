"""`python -m launch`: the same as `rostrum`."""

import sys

from launch.cli import main

sys.exit(main())
