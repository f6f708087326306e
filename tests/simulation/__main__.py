"""`python -m tests.simulation`: see report.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from simulation.report import main

if __name__ == "__main__":
    main()
