"""A site's stack file, as `wgnode user` reads and changes it. Nothing here asks the engine or writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from wgnode import usersfolder, yamlfile
from wgnode.cli import peoplefiles, usershape
from wgnode.cli.peoplefiles import PeopleFiles
from wgnode.cli.placed import put, take
from wgnode.cli.stackfile import SITE
from wgnode.topology import egress, user_problems, users
from wgnode.topology.egress_problems import ADDRESSES, POOL, ends
from wgnode.topology.networks import Address
from wgnode.topology.pool import next_address
from wgnode.topology.users import FAMILIES, Users
from wgnode.topology.validate import Problem

DAY = 86400
_GIVEN = "-"  # stands for a secret of the stack that is still to be made


class UserError(ValueError):
    """The text says what is wrong and what to do."""


@dataclass(frozen=True)
class SiteFile:
    """`text` is the file's, `site` what it says of the site, users in files of their own (`people`) with it; secrets
    are as they stand there."""

    path: Path
    text: str
    site: Mapping[str, Any]
    people: PeopleFiles | None = None

    @property
    def name(self) -> str:
        return str(self.site.get("name"))

    @property
    def stack(self) -> str:
        return self.path.name.removeprefix("Pulumi.").removesuffix(".yaml")

    @property
    def mesh(self) -> str:
        return str(self.site.get("mesh"))

    @property
    def users(self) -> Mapping[str, Any]:
        found = self.site.get("users")
        return found if isinstance(found, Mapping) else {}

    def device(self, user: str, name: str) -> Mapping[str, Any] | None:
        return ((self.users.get(user) or {}).get("devices") or {}).get(name)

    @property
    def texts(self) -> dict[Path, str]:
        """Of all files in the order in which they are to be written, "" for one that is to go. An address rests before
        its device is gone."""
        people = {} if self.people is None else {self.people.folder / name: t for name, t in self.people.texts.items()}
        return {self.path: self.text, **people}

    def stale(self) -> Path | None:
        """What is there otherwise than it was read, or is new: another's change. Raises ValueError, OSError."""
        if yamlfile.read(self.path) != self.text:
            return self.path
        if self.people is None:
            return None
        now = usersfolder.beside(self.path)(self.people.name)
        other = sorted({name for name, _ in now.items() ^ self.people.texts.items()})
        return self.people.folder / other[0] if other else None

    def with_text(self, text: str) -> SiteFile:
        """The stack file's."""
        return _made(self.path, text, self.people)

    def put(self, *path: str, value: Any) -> SiteFile:
        """Raises UserError."""
        if (people := self.people) is not None and path[0] == "users":
            return self._edited(lambda: (self.text, people.put(path[1], path[2:], value)))
        return self._edited(lambda: (put(self.text, (*SITE, *path), value), people))

    def take(self, *path: str) -> SiteFile:
        """Raises UserError."""
        if (people := self.people) is not None and path[0] == "users":
            return self._edited(lambda: (self.text, people.take(path[1], path[2:])))
        return self._edited(lambda: (take(self.text, (*SITE, *path)), people))

    def _edited(self, edit: Callable[[], tuple[str, PeopleFiles | None]]) -> SiteFile:
        try:
            return _made(self.path, *edit())
        except ValueError as error:
            raise UserError(f"{self.path}: {error}; it was left as it is") from None

    def problems(self) -> list[Problem]:
        """Of its users, groups and pool. A secret that is missing is none: it is made."""
        return list(user_problems.problems({user_problems.SECRET: _GIVEN, **self.site}))

    def require(self, none: Iterable[Problem]) -> None:
        """Raises UserError with all of them."""
        if said := [f"{self.path}: wgmesh:site{one.path}: {one.message}" for one in none]:
            raise UserError("\n".join(said))

    def understood(self) -> Users:
        """Raises UserError for what could not be read."""
        self.require(self.problems())
        try:
            return Users.of(self.site.get("pool"), self.users, self.site.get("groups"), self.site.get("egressPool"))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{self.path}: its users can't be read ({error}); `wgnode check` says more") from None


def found(directory: Path, environment: str | None, site: str | None) -> list[SiteFile]:
    """The stack files of sites, or of that one. Raises UserError for one that is no YAML, and where there is no stack
    file at all; OSError."""
    files = []
    pattern = f"Pulumi.{environment + '-' if environment else ''}*.yaml"
    if not (paths := sorted(directory.glob(pattern))):
        raise UserError(
            f"there is no stack file {directory / pattern}; --directory and --environment say which are meant"
        )
    for path in paths:
        try:
            text = yamlfile.read(path)
            said = _site(text)
            if said and site in (None, said.get("name")):
                made = _made(path, text, peoplefiles.read(path, said))
                made.require(usershape.problems(made.site))
                files.append(made)
        except UserError:
            raise
        except ValueError as error:
            raise UserError(f"{path}: {error}") from None
    return files


def one_of(files: Sequence[SiteFile], what: str) -> SiteFile:
    """`what` follows "site that". Raises UserError where there is none, or more than one."""
    if len(files) == 1:
        return files[0]
    if not files:
        raise UserError(f"no stack file here is of a site that {what}")
    names = ", ".join(f"{file.name} ({file.path})" for file in files)
    raise UserError(f"there is more than one site that {what}: {names}; say which by --site, or --environment")


def added(file: SiteFile, user: str, device: str, public_key: str, today: int) -> SiteFile:
    """With a device that is not there yet, at free addresses. `today` is in days since 1970. Raises UserError."""
    addresses = list(_free(file, today))
    if not addresses:
        raise UserError(
            f"{file.path}: site {file.name!r} has no `pool:`, the addresses of its LAN that devices get; add it, such"
            " as `pool: {v4: 10.1.0.128/26}`, with addresses that no DHCP server gives out"
        )
    entry = {"publicKey": public_key, "addresses": [str(one) for one in addresses]}
    made = file.put("users", user, "devices", device, value=entry)
    return with_public(_no_more_released(made, "pool", addresses), user, today)


def with_public(file: SiteFile, user: str, today: int) -> SiteFile:
    """With an address outside for each of the user's devices that is to have one and has none. Raises UserError."""
    said = file.users.get(user) or {}
    if not file.site.get(POOL) or egress.of_member(said.get("groups"), file.site.get("groups")) != egress.POOL:
        return file
    for name, device in (said.get("devices") or {}).items():
        own = [ip_address(text) for text in device.get(ADDRESSES) or ()]
        lacking = {ip_address(text).version for text in device["addresses"]} - {one.version for one in own}
        if more := [one for one in _free_public(file, today) if one.version in lacking]:
            addresses = sorted(str(one) for one in (*own, *more))
            file = file.put("users", user, "devices", name, ADDRESSES, value=addresses)
            file = _no_more_released(file, POOL, more)
    return file


def _no_more_released(file: SiteFile, pool: str, addresses: Iterable[Address]) -> SiteFile:
    released = (file.site.get(pool) or {}).get("released") or {}
    for text in map(str, addresses):
        if text in released:
            file = file.take(pool, "released", text)
    return file


def removed(file: SiteFile, user: str, device: str | None, today: int) -> SiteFile:
    """Without the device, or the user; addresses rest from `today` on. Raises UserError."""
    devices = (file.users[user] or {}).get("devices") or {}
    gone = [devices[device]] if device else list(devices.values())
    made = file.take("users", user, "devices", device) if device else file.take("users", user)
    for pool, addresses in (("pool", "addresses"), (POOL, ADDRESSES)):
        for address in (address for one in gone for address in one.get(addresses) or ()):
            if pool == "pool" or file.site.get(pool):
                made = made.put(pool, "released", str(ip_address(address)), value=date_of(today * DAY))
    return made


def date_of(seconds: int) -> str:
    """2027-01-31, or with the time of day where it is not the day's beginning."""
    moment = time.gmtime(seconds)
    return time.strftime("%Y-%m-%d" if seconds % DAY == 0 else "%Y-%m-%dT%H:%M:%SZ", moment)


def _free(file: SiteFile, today: int) -> Iterator[Address]:
    """One of each family that the pool has."""
    known = file.understood()
    pool = file.site.get("pool")
    pool = pool if isinstance(pool, Mapping) else {}
    taken = [ip_address(address) for one in known.devices for address in one.addresses]
    released = {ip_address(text): users.moment(day) // DAY for text, day in (pool.get("released") or {}).items()}
    never = list(user_problems.known_machines(file.site))
    for family in FAMILIES:
        if pool.get(family):
            network = ip_network(pool[family])
            closed: Collection[Address] = [*never, *_ends(network)]
            yield next_address(network, taken, released, closed, today)


def _free_public(file: SiteFile, today: int) -> Iterator[Address]:
    """One of each family that there are public addresses of."""
    pool = file.site[POOL]
    devices = (one for user in file.users.values() for one in ((user or {}).get("devices") or {}).values())
    taken = [ip_address(text) for one in devices for text in one.get(ADDRESSES) or ()]
    released = {ip_address(text): users.moment(day) // DAY for text, day in (pool.get("released") or {}).items()}
    for family in FAMILIES:
        if pool.get(family):
            network = ip_network(pool[family])
            never = [*user_problems.known_machines(file.site), *ends(network, bool(pool.get("routed")))]
            yield next_address(network, taken, released, never, today)


def _ends(network: Any) -> list[Address]:
    """What may be a LAN's network or broadcast address, or every router's."""
    return [network.network_address, network.broadcast_address] if network.version == 4 else [network.network_address]


def _made(path: Path, text: str, people: PeopleFiles | None) -> SiteFile:
    """Raises ValueError."""
    site = _site(text) or {}
    return SiteFile(path, text, site if people is None else {**site, "users": people.users}, people)


def _site(text: str) -> Mapping[str, Any] | None:
    raw = yamlfile.parse(text)
    for step in SITE:
        raw = raw.get(step) if isinstance(raw, Mapping) else None
    return raw if isinstance(raw, Mapping) else None
