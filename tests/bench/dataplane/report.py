"""A run as Markdown: tables of medians with ratios to the reference, goals, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from tests.bench.dataplane import gateways, goals
from tests.bench.dataplane.figures import Figure, figure, resident
from tests.bench.dataplane.implementations import CABLE, REFERENCE
from tests.bench.dataplane.measurements import MEASUREMENTS
from tests.bench.dataplane.results import Results

NOISY = "°"
"""After a figure that was only taken while the machine was busy with something else."""
FAMILIES = tuple(name for name in MEASUREMENTS if name.endswith(("in4", "in6")))
THROUGHPUT = tuple(
    name for name, measurement in MEASUREMENTS.items() if measurement.per_gigabyte and name not in FAMILIES
)
DATAGRAMS = tuple(name for name in MEASUREMENTS if name.startswith("udp"))
PINGS = tuple(name for name in MEASUREMENTS if name.startswith("ping"))


def markdown(results: Results, heading: str = "# The data plane beside other implementations", chart: str = "") -> str:
    """`chart` is the path of a picture to show. Ends with a newline."""
    picture = f"![Medians of each implementation]({chart})" if chart and results.samples else ""
    tables = (*_tables(results), gateway_to_gateway(results))
    parts = [heading, about(results), picture, *tables, _goals(results), _went_wrong(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def about(results: Results) -> str:
    machine, settings = results.machine, results.settings
    programs = ", ".join(f"{name} {machine[name]}" for name in (REFERENCE, "boringtun", "gotatun"))
    return (
        f"{machine['date']}: {machine['processor']}, {'with' if machine['avx512'] == 'yes' else 'without'} AVX-512, "
        f"Linux {machine['kernel']}, Python {machine['python']}; wgnode {machine['wgnode']}, {programs}. "
        f"Rounds: {settings['rounds']}, of {settings['seconds']} s a measurement; both ends on this machine, "
        f"IPv{settings['inner']} inside IPv{settings['outer']}. Medians; in brackets the median of the rounds' ratios "
        f"to {REFERENCE}. {CABLE}: the cable without a tunnel. {NOISY}: others used the machine meanwhile, each time."
    )


def _tables(results: Results) -> Iterable[str]:
    def plain(name: str, test: str) -> str:
        return cell(figure(results, name, test))

    def cost(name: str, test: str) -> str:
        return cell(figure(results, name, test, "per_gigabyte"))

    def trips(name: str, test: str) -> str:
        p99 = figure(results, name, test, "p99")
        return f"{plain(name, test)}, {number(p99.median)}" if p99 else plain(name, test)

    def memory(name: str, _: str) -> str:
        megabytes = resident(results, name)
        return "" if megabytes is None else number(megabytes)

    titles = {name: measurement.title for name, measurement in MEASUREMENTS.items()}
    yield _table(results, "Throughput, Gbit/s", THROUGHPUT, titles, plain)
    yield _table(results, "Throughput by address families, Gbit/s", FAMILIES, titles, plain)
    yield _table(results, "Processor seconds of both ends per GB", THROUGHPUT, titles, cost)
    yield _table(results, "Datagrams, 1000/s", DATAGRAMS, titles, plain)
    yield _table(results, "Round trips, ms: median (ratio), 99th percentile", PINGS, titles, trips)
    yield _table(results, "Memory, MB", ("resident",), {"resident": "of the larger end"}, memory)


def _table(
    results: Results, title: str, tests: Sequence[str], titles: dict[str, str], text: Callable[[str, str], str]
) -> str:
    """Without rows and columns that are empty; empty when all are."""
    cells = {(name, test): text(name, test) for name in results.implementations() for test in tests}
    columns = [test for test in tests if any(cells[name, test] for name in results.implementations())]
    rows = [
        (name, *(cells[name, test] for test in columns))
        for name in results.implementations()
        if any(cells[name, test] for test in columns)
    ]
    return section(title, ("", *(titles[test] for test in columns)), rows) if rows else ""


def gateway_to_gateway(results: Results) -> str:
    """Empty where it was not measured."""
    if not results.gateways:
        return ""
    found = replace(results, samples=results.gateways)
    rows = [
        (f"{path}, {plane}", *(_beside_plain(found, path, plane, measured.name) for measured in gateways.MEASURED))
        for path in gateways.PATHS
        for plane in gateways.PLANES
        if gateways.name_of(path, plane) in found.implementations()
    ]
    head = ("", *(f"{measured.title}, {measured.unit}" for measured in gateways.MEASURED))
    return f"{section('Gateway to gateway', head, rows)}\n\n{_about_gateways(results)}"


def _beside_plain(found: Results, path: str, plane: str, test: str) -> str:
    reference = gateways.name_of(path, gateways.PLAIN)
    return cell(figure(found, gateways.name_of(path, plane), test, reference=reference))


def _about_gateways(results: Results) -> str:
    text = (
        "From a client of one gateway to a client of the other, IPv4 inside IPv4, all on this machine; a "
        f"ping every {gateways.INTERVAL * 1000:.0f} ms. Medians; in "
        f"brackets the median of the rounds' ratios to the same path on `{gateways.PLAIN}`. "
        f"{gateways.PROCESS}: `wgnode device` in a network namespace."
    )
    if (guests := results.machine.get("guests")) is None:
        return text
    only_ratios = " These guests' figures are only ratios to each other." if guests.startswith("TCG") else ""
    return f"{text} {gateways.MICROVM}: the appliance under QEMU on {guests}.{only_ratios}"


def section(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return f"### {title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(found: Figure | None) -> str:
    """`2.49 (×1.00)`; empty where nothing was measured."""
    if found is None:
        return ""
    ratio = "" if found.ratio is None else f" (×{number(found.ratio)})"
    return f"{number(found.median)}{NOISY if found.noisy else ''}{ratio}"


def number(value: float) -> str:
    """Three digits that count: 0.0123, 1.23, 12.3, 123, 1234."""
    exponent = int(f"{value:.2e}".partition("e")[2])
    return f"{value:.{max(0, 2 - exponent)}f}" if value else "0"


def _goals(results: Results) -> str:
    rows = [
        (
            verdict.goal.title,
            verdict.goal.implementation,
            verdict.goal.text,
            "" if verdict.value is None else number(verdict.value),
            f"**{verdict.note}**" if verdict.note == "missed" else verdict.note,
        )
        for verdict in (goals.judge(results) if results.samples else ())
    ]
    return section("Goals", ("goal", "of", "wanted", "found", ""), rows) if rows else ""


def _went_wrong(results: Results) -> str:
    lines = [f"- {name} took no part: {_one_line(reason)}" for name, reason in results.missing.items()]
    lines += [
        f"- {failure.implementation}, {failure.test or 'start'}, round {failure.round}: {_one_line(failure.reason)}"
        for failure in results.failures
    ]
    return "### What was not measured\n\n" + "\n".join(lines) if lines else ""


def _one_line(reason: str) -> str:
    """The first line, and the last lines of a log as code."""
    first, *log = reason.strip().splitlines()
    return first + "".join(f"\n  `{line.replace('`', '')}`" for line in log)
