"""Where pictures of what a browser shows are kept."""

import os
from pathlib import Path

SHOTS = Path(os.environ.get("SCREENSHOTS", "artefacts/screenshots"))
