"""Let the adapter tests use the harnesses of the adapter contract."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "contracts"))
