"""What the kernel may do for the compiled plane, each switched off alone by WGNODE_OFFLOADS."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


@dataclass(frozen=True)
class Offloads:
    """`vnet_header`, `tso`, `uso` are the TUN's (several packets as one, either way), `gso` and `gro` the sockets'."""

    vnet_header: bool = True
    tso: bool = True
    uso: bool = True
    gso: bool = True
    gro: bool = True


def parse(text: str) -> Offloads:
    """All, less what `text` names: "-uso,-gro", "none". Raises ValueError."""
    known = [each.name for each in fields(Offloads)]
    off = known if text == "none" else [word.removeprefix("-") for word in text.split(",") if word]
    for word in off:
        if word not in known:
            raise ValueError(
                f"WGNODE_OFFLOADS={text!r}: {word!r} is none of {', '.join(known)}; write -{known[1]}, or none"
            )
    chosen = replace(Offloads(), **dict.fromkeys(off, False))
    return chosen if chosen.vnet_header else replace(chosen, tso=False, uso=False)
