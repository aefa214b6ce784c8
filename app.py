"""Start Torchlurk: `python app.py --model resnet18 --data my/images`."""

import sys

from lurk.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
