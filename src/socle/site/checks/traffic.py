"""What may cross the border of a tenant's segments: each rule names one place that exists."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from socle.site.document import Fault
from socle.site.messages import suggestion
from socle.site.parts import Part
from socle.site.settings import Settings
from socle.site.tenant import INTERNET, LINK, PLACES, Tenant

IPV4 = 4

type Tenants = dict[str, Part[Tenant]]


def traffic_names_what_exists(tenants: Tenants, settings: Part[Settings]) -> Iterator[Fault]:
    """`from`, `to` and `segment` name segments, destinations or prefixes."""
    destinations = settings.value.destinations
    for part in tenants.values():
        network = part.value.network
        segments = {segment.name for segment in network.segments}
        places = {INTERNET, *segments, *({LINK} if network.site_link else ())}
        for index, rule in enumerate(network.inbound):
            loc = ("network", "inbound", index)
            yield from _unknown_segment(part, loc, rule.segment, segments)
            if rule.source not in places:
                yield from _no_prefix(part, (*loc, "from"), rule.source, places)
            if rule.last_port is not None and rule.last_port < rule.port:
                yield part.fault(
                    *loc,
                    "last_port",
                    what=f"`last_port` {rule.last_port} is below `port` {rule.port}",
                    expected=f"at least {rule.port}",
                    write="swap them",
                )
        for index, out in enumerate(network.outbound):
            loc = ("network", "outbound", index)
            yield from _unknown_segment(part, loc, out.segment, segments)
            if out.to in destinations:
                continue
            wrong = [*_no_prefix(part, (*loc, "to"), out.to, {*places, *destinations})]
            if out.to not in places and wrong:
                yield from wrong
            elif out.port is None:
                yield part.fault(
                    *loc,
                    what=f"traffic to `{out.to}` names no port",
                    expected="`port`, unless `to` is a destination of site.yml",
                    write=f"write for example `{{to: {out.to}, port: 443}}`",
                )


def segments_are_no_other_place(tenants: Tenants, settings: Part[Settings]) -> Iterator[Fault]:
    """`from` and `to` mean one place: no segment has the name of another kind of place."""
    lines = {name: settings.document.line(("destinations", name)) for name in settings.value.destinations}
    taken = {name: f"a destination (site.yml:{line})" for name, line in lines.items()} | dict(PLACES)
    for part in tenants.values():
        for index, segment in enumerate(part.value.network.segments):
            if segment.name in taken:
                yield part.fault(
                    "network",
                    "segments",
                    index,
                    "name",
                    what=f"the segment `{segment.name}` has the name of {taken[segment.name]}",
                    expected="a name that rules take for the segment alone",
                    write="rename the segment",
                )


def _unknown_segment(
    part: Part[Tenant], loc: tuple[str | int, ...], name: str | None, segments: set[str]
) -> Iterator[Fault]:
    if name is not None and name not in segments:
        yield part.fault(
            *loc,
            "segment",
            what=f"`{name}` is no segment of the tenant",
            expected=f"one of {', '.join(sorted(segments))}",
            write=suggestion(name, sorted(segments)) or "choose one of them",
        )


def _no_prefix(
    part: Part[Tenant], loc: tuple[str | int, ...], text: str, places: set[str]
) -> Iterator[Fault]:
    try:
        if ip_network(text).version == IPV4:
            return
    except ValueError:
        what = f"`{text[:40]}` is no place that traffic comes from or goes to"
    else:
        what = f"`{text[:60]}` is IPv6, and guests have IPv4 only"
    yield part.fault(
        *loc,
        what=what,
        expected=f"an IPv4 prefix or one of {', '.join(sorted(places))}",
        write=suggestion(text, sorted(places)) or "write for example `192.0.2.0/24`",
    )


CHECKS = (segments_are_no_other_place, traffic_names_what_exists)
