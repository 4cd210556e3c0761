"""`python -m memdb`, where the command `memdb` is not on the PATH."""

import sys

from memdb.cli import main

sys.exit(main())
