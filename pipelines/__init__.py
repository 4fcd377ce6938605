"""The command-line scripts: flags to a config to one call of the library."""

import os
import sys

from pipelines import quiet

# Run by `python -m`, whose first argument is "-m" while packages are imported.
if sys.argv[0] == "-m":
    quiet.start()
# Without it there are notes while TensorFlow works, too.
if not quiet.is_verbose(sys.argv[1:]):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
