"""What to do where a site and its mesh don't fit together: in the words of whoever configures them."""

from __future__ import annotations


class WaysOut:
    """Of a program that this package knows nothing of; one with stack files of its own has better words."""

    def renamed(self, name: str) -> str:
        return f"give the site the name {name!r}, and run it again"

    def missing(self) -> str:
        return "add it to the sites of the mesh's MeshTopology, update that, and then this site again"

    def recipient(self) -> str:
        """After the sentence that says what is wrong with the bundle; each line is indented."""
        return (
            "  The public half of the site's recipient key must be its `recipient` among the mesh's sites;\n"
            "  `wgnode key public` prints it from the private half. Then update the mesh, and this site again."
        )
