"""`python -m trimwatt`."""

import sys

# -m puts the current folder first, where a numpy.py that came with the data would be imported
if __name__ == "__main__" and not sys.flags.safe_path:
    del sys.path[0]

from trimwatt.commands import main

if __name__ == "__main__":
    main()
