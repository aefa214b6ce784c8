"""`python -m lurk`: the same as `python app.py`."""

import sys

from lurk.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
