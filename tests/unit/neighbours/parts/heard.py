"""What this version's plugin takes of what a host's hostd tells it. {"said": text} -> health."""

from __future__ import annotations

import json
import sys

from wgnode.hostd import said

print(json.dumps(said.answered(json.load(sys.stdin)["said"])))
