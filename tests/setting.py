"""Where the tests run and what they are asked for: paths, and the switches of the environment."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("SNIFFKIT_SHARED", ROOT.parent / "shared"))
REQUIRE_ALL = os.environ.get("CI") == "true" or os.environ.get("SNIFFKIT_REQUIRE_ALL") == "1"
UPDATE_GOLDEN = os.environ.get("SNIFFKIT_UPDATE_GOLDEN") == "1"
