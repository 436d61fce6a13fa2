"""What several values of a site's configuration say together, passing over what isn't there or has another type."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pulumi_wgnode.components import together
from pulumi_wgnode.components.together import IMAGE
from wgnode.image.variants import Variant
from wgnode.topology.validate import Problem

PROJECT = "wgmesh"


def site_problems(raw: Mapping[str, Any], root: Path, clear: Collection[str]) -> list[Problem]:
    """`root` is the project's, for relative paths; `clear` has the paths of secrets that lie in clear text."""
    problems, gateway = together.problems(raw), _mapping(raw, "gateway")
    image = gateway.get("image", IMAGE)
    if isinstance(image, str) and "://" not in image and not gateway.get("sha256") and not (root / image).is_file():
        problems.append(Problem(".gateway.image", _no_image(root, image)))
    problems += [
        Problem(
            f".{secret}",
            "lies in the stack file in clear text: make a new one and set it with `pulumi config set --secret --path"
            f" {PROJECT}:site.{secret}`",
        )
        for secret in clear
    ]
    return problems


def _no_image(root: Path, image: str) -> str:
    """Beside it may lie one that this machine can build: it is taken only where the stack file says so."""
    others = [(Path(image).with_name(variant.file_name), variant) for variant in (Variant.LOCAL, Variant.PLAIN)]
    there = "".join(
        f", or name {path}, which is there, {variant.about}"
        for path, variant in others
        if str(path) != image and (root / path).is_file()
    )
    return f"there is no {root / image}; build it with `make image`{there}"


def _mapping(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, Mapping) else {}
