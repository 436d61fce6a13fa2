"""What a person building an image sees instead of a traceback."""

from __future__ import annotations


class ImageError(Exception):
    """The image can't be built or read; the text names the thing and the way out. Nothing half made is left."""
