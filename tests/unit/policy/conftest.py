"""All of these run on both data planes, and without a deadline for each example: the machine may be busy."""

from hypothesis import settings

from tests.planes import plane

__all__ = ["plane"]

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
