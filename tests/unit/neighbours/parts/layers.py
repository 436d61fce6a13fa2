"""Writes the layers of a gateway as this version does, and says what it then expects the node to report.

{folder, config and secrets as resources have them} -> {loaded and applied, live}, digests.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pulumi_wgnode.contracts.node import config_of, secrets_of
from wgnode.image import layers
from wgnode.nodeconfig import expected_live_digest

asked = json.load(sys.stdin)
config, secrets, folder = config_of(asked["config"]), secrets_of(asked["secrets"]), Path(asked["folder"])
for name, layer in (("config.cpio", layers.config_layer(config)), ("secrets.cpio", layers.secrets_layer(secrets))):
    (folder / f".{name}").write_bytes(layer)
    (folder / f".{name}").rename(folder / name)
print(json.dumps({"applied": config.digest, "live": expected_live_digest(config, secrets)}))
