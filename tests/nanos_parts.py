"""Parts of Nanos as its users bring them, made by tests: ELF files with the symbols that matter, a boot image, and a
program that takes arguments and manifests as Nanos' mkfs does (tools/mkfs.c, src/runtime/tuple_parser.c)."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASE = 0xFFFFFFFF80000000
ET_DYN, ET_EXEC = 3, 2
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CALLED = "icmp_time_exceeded"


@dataclass(frozen=True)
class Function:
    """`calls` another one of the same file, by name, from the middle of other code."""

    name: str
    calls: str = ""


def elf(
    functions: tuple[Function, ...], wanted: tuple[str, ...] = (), *, kind: int = ET_EXEC, data: bytes = b""
) -> bytes:
    """x86-64, with a symbol table of the functions and a dynamic one of what is wanted; neither if there is none."""
    places = {each.name: number * 32 for number, each in enumerate(functions)}
    text = b""
    for each in functions:
        code = b"\x55\xe8" + b"\x90" * 6  # 0xe8 that is no call is to be borne
        if each.calls:
            code += b"\xe8" + struct.pack("<i", places[each.calls] - (places[each.name] + len(code) + 5))
        text += code.ljust(32, b"\xc3")
    names, strings = dict[str, int](), b"\0"
    for name in (*places, *wanted):
        names[name] = len(strings)
        strings += name.encode() + b"\0"
    table = bytes(24) + b"".join(
        struct.pack("<IBBHQQ", names[each.name], 0x12, 0, 1, BASE + places[each.name], 32) for each in functions
    )
    dynamic = bytes(24) + b"".join(struct.pack("<IBBHQQ", names[name], 0x10, 0, 0, 0, 0) for name in wanted)
    sections = [(0, b"", 0, 0), (1, text, BASE, 0), (3, strings, 0, 0)]
    sections += [(2, table, 0, 2)] if functions else []
    sections += [(11, dynamic, 0, 2)] if wanted else []
    body, headers = data.ljust(-(-len(data) // 16) * 16, b"\0"), b""
    for what, content, address, link in sections:
        headers += struct.pack("<IIQQQQIIQQ", 0, what, 0, address, 64 + len(body), len(content), link, 0, 16, 24)
        body += content.ljust(-(-len(content) // 16) * 16, b"\0")
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQ", kind, 62, 1, BASE, 64, 64 + len(body))
    return head + struct.pack("<IHHHHHH", 0, 64, 56, 0, 64, len(sections), 0) + body + headers


def kernel(*, forwards: bool = True, inlined: bool = True, symbols: bool = True, nanos: bool = True) -> bytes:
    """`inlined`: ip4_forward is part of ip4_input, as the compiler makes it of a static function with one caller."""
    data = (b"\0NANOS_VERSION\0" if nanos else b"") + f"\0{COMMIT}\0".encode()
    functions = [Function("create_special_file"), Function("netif_add"), Function(CALLED), Function("ip_reass", CALLED)]
    if forwards and not inlined:
        functions += [Function("ip4_forward.isra.0", CALLED), Function("ip4_input", "ip4_forward.isra.0")]
    else:
        functions += [Function("ip4_input", CALLED if forwards else "netif_add")]
    return elf(tuple(functions) if symbols else (), data=data)


def klib(*wanted: str) -> bytes:
    return elf((Function("init"),), wanted or ("create_special_file", "netif_add"), kind=ET_DYN)


def bring(folder: Path, **options: Any) -> Path:
    """All four, as a release of ops has them."""
    (folder / "klibs").mkdir(parents=True)
    (folder / "kernel.img").write_bytes(kernel(**options))
    (folder / "klibs" / "tun").write_bytes(klib())
    (folder / "boot.img").write_bytes(bytes(510) + b"\x55\xaa" + bytes(1024))
    write_mkfs(folder / "mkfs")
    return folder


def write_mkfs(path: Path) -> None:
    root = Path(__file__).resolve().parents[1]
    path.write_text(f"#!{sys.executable} -I\nimport sys\nsys.path.insert(0, {str(root)!r})\n"
                    "from tests.nanos_parts import mkfs\nsys.exit(mkfs(sys.argv[1:]))\n")  # fmt: skip
    path.chmod(0o755)


def mkfs(arguments: list[str]) -> int:
    """What it would put on the disk is written there as JSON, by path, with the manifest's own words."""
    options, rest = dict[str, str](), list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option not in ("-b", "-k", "-l", "-r", "-s", "-u", "-t"):
            return _usage()
        options[option] = rest.pop(0)
    if len(rest) != 1:
        return _usage()
    root = parsed(sys.stdin.read())
    boot = root.pop("boot", {"children": {}})
    boot["children"]["kernel"] = {"contents": {"host": options["-k"]}}
    if not Path(options["-b"]).is_file():
        print(f"couldn't open boot image file {options['-b']}")
        return 1
    disk = {"root": root, "files": {}}
    for where, tree in (("boot", boot), ("root", root)):
        for path, host in _contents(tree, ""):
            if len(host.encode()) > 255 or not os.path.isfile(host):
                print(f"couldn't stat file {host}")
                return 1
            disk["files"][f"{where}:{path}"] = os.path.getsize(host)
    Path(rest[0]).write_text(json.dumps(disk))
    print("UUID: at random\nmetadata\n(...)")
    return 0


def _usage() -> int:
    print("Usage:\nmkfs [options] image-file < manifest-file\n-b boot-image\t- specify\n-k kern-image\t- specify")
    return 1


def _contents(tree: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for name, entry in tree.get("children", {}).items():
        if "contents" in entry:
            yield f"{path}/{name}", entry["contents"]["host"]
        yield from _contents(entry, f"{path}/{name}")


def parsed(text: str) -> Any:
    """Values as tuple_parser.c takes them; vectors are tuples with numbers for names there. Raises ValueError."""
    value, rest = _value(_skip(text))
    if _skip(rest):
        raise ValueError("more than one value")
    return value


def _skip(text: str) -> str:
    text = text.lstrip(" \n\t")
    while text.startswith("#"):
        text = text.partition("\n")[2].lstrip(" \n\t")
    return text


def _value(text: str) -> tuple[Any, str]:
    if text.startswith("("):
        made, rest = dict[str, Any](), _skip(text[1:])
        while not rest.startswith(")"):
            name, rest = _word(rest, '()[]:|/" \n\t')
            rest = _skip(rest)
            if not rest.startswith(":"):
                raise ValueError(f"unknown property discriminator {rest[:1]!r}")
            made[name], rest = _value(_skip(rest[1:]))
            rest = _skip(rest)
        return made, rest[1:]
    if text.startswith("["):
        vector, rest = list[Any](), _skip(text[1:])
        while not rest.startswith("]"):
            each, rest = _value(rest)
            vector.append(each)
            rest = _skip(rest)
        return vector, rest[1:]
    return _word(text, "()[] \n\t")


def _word(text: str, ends: str) -> tuple[str, str]:
    if text.startswith('"'):
        word, quote, rest = text[1:].partition('"')
        if not quote:
            raise ValueError("a quotation that does not end")
        return word, rest
    end = next((at for at, character in enumerate(text) if character in ends), len(text))
    if not end:
        raise ValueError(f"no word at {text[:20]!r}")
    return text[:end], text[end:]
