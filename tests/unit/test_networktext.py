"""The one text of a network is what `ipaddress` says, whatever is quicker."""

from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wgnode import networktext

NETWORKS = st.one_of(
    st.builds(IPv4Network, st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), strict=st.just(False)),
    st.builds(IPv6Network, st.tuples(st.integers(0, 2**128 - 1), st.integers(0, 128)), strict=st.just(False)),
)
PIECES = (
    "0",
    "00",
    "1",
    "10",
    "255",
    "256",
    "ffff",
    "FF",
    ".",
    ":",
    "::",
    "/",
    "/0",
    "/8",
    "/08",
    "/32",
    "/128",
    "%eth0",
    "-",
    " ",
    "١",
)


def said(text: str) -> str | None:
    try:
        return str(ip_network(text))
    except ValueError:
        return None


@given(NETWORKS)
@example(ip_network("::ffff:1.2.3.0/120"))
@example(ip_network("::1.2.3.4/128"))
@example(ip_network("::/0"))
def test_what_is_written_stays(network: IPv4Network | IPv6Network) -> None:
    assert networktext.canonical(str(network)) == str(network)
    assert networktext.canonical(network.exploded) == str(network)


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@example("::ffff:1.2.3.4/128")
@example("::1.2.3.4/128")
@example("10.0.0.0/255.0.0.0")
@example("10.0.0.1/8")
@example("1.2.3.4")
@example("1:0:0:2:0:0:0:3/128")
def test_any_text_is_what_ipaddress_says(text: str) -> None:
    wanted = said(text)
    if wanted is None:
        with pytest.raises(ValueError):  # noqa: PT011
            networktext.canonical(text)
    else:
        assert networktext.canonical(text) == wanted
