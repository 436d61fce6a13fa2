"""The shape of `wgmesh:rollout` in a mesh's stack file; what its values mean is wgnode/rollout/policy.py's."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pulumi_wgnode.model import Model
from pulumi_wgnode.values import Count

Reaction = Literal["undo", "pause"]


class FailureConfig(Model):
    canary: Reaction = "undo"
    later: Reaction = "pause"


class LimitsConfig(Model):
    loss: Count | None = Field(default=None, ge=0, le=100, description="percent of a gate's probes that may be lost")
    round_trip: Count | None = Field(default=None, ge=1, description="milliseconds that a probe may take")
    handshake: Count | None = Field(
        default=None, ge=1, description="seconds after a change in which every expected handshake must have been made"
    )


class RolloutConfig(Model):
    """All of it may be left out; what is not given is the profile's."""

    profile: str | None = None
    canary: Any = None
    waves: Any = None
    parallel: Count | None = Field(default=None, ge=1, description="sites of a wave that are changed at once")
    max_unavailable: Any = None
    soak: Count | None = Field(default=None, ge=0, description="seconds that a wave is watched")
    limits: LimitsConfig | None = None
    on_failure: FailureConfig | None = None
