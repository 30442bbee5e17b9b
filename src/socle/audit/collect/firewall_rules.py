"""A host's firewall in plain words: as the kernel has it, and as the flow matrix asks for; both alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, collapse_addresses, ip_address, ip_network, summarize_address_range
from typing import Any, Final

from socle import catalogue
from socle.site import Host, Site
from socle.site.flows import ANYWHERE, flows, node_rules

PROTOCOLS: Final = {"vrrp": 112, "igmp": 2}
HOOKS: Final = ("input", "output", "forward")
EVERYTHING: Final = "everything"
"""What a rule that names no packets lets through."""
SILENT: Final = frozenset({"counter", "limit", "log", "accept", "drop", "notrack", "set", "update"})
"""Parts of a rule that change nothing about which packets are meant."""
REFUSED: Final = frozenset({"drop", "reject"})
"""Verdicts after which a packet goes nowhere; a chain that one is sent to may let it through."""


def loaded(ruleset: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """What ``nft --json list ruleset`` says: tables, what becomes of packets that no rule names, and what is
    let through, one line for each rule.
    """
    hooks: dict[tuple[str, str, str], str] = {}
    policies: dict[str, str] = {}
    tables: list[str] = []
    accepts: list[str] = []
    for item in ruleset:
        if table := item.get("table"):
            tables.append(f"{table['family']} {table['name']}")
        if (chain := item.get("chain")) and chain.get("hook") in HOOKS:
            hooks[chain["family"], chain["table"], chain["name"]] = chain["hook"]
            policies[f"{chain['family']} {chain['table']} {chain['hook']}"] = chain["policy"]
        if rule := item.get("rule"):
            hook = hooks.get((rule["family"], rule["table"], rule["chain"]))
            if hook and (line := _accepted(rule["expr"])) is not None:
                accepts.append(f"{hook} {line}")
    return {"tables": sorted(tables), "policies": policies, "accepts": sorted(accepts)}


def declared(site: Site, host: Host) -> dict[str, Any]:
    """The same, as the flow matrix of the site has it, and what every host lets through."""
    rules = node_rules(site, flows(site, catalogue.load()), host)
    near = _addresses([str(site.zones[zone].prefix) for zone in host.addresses])
    every = "state established,related"
    neighbours = "icmpv6 nd-neighbor-advert,nd-neighbor-solicit"
    lines = [
        *("input iif lo", f"input {every}", f"input {neighbours}", f"input from {near} icmp echo-request"),
        *("output oif lo", f"output {every}", f"output {neighbours}", f"output to {near} icmp echo-request"),
        *(f"input {_line(rule, rule['addresses'], rule['to'])}" for rule in rules["in"]),
        *(f"output {_line(rule, (), rule['addresses'])}" for rule in rules["out"]),
        *_sessions_that_go_on(rules["in"]),
    ]
    policies = {f"inet socle {hook}": "drop" for hook in HOOKS}
    return {"tables": ["inet socle"], "policies": policies, "accepts": sorted(set(lines))}


def _line(rule: Mapping[str, Any], sources: Iterable[str], targets: Iterable[str]) -> str:
    incoming = bool(list(sources))
    words = [f"iifname {rule['interface']}"] if incoming and rule["interface"] else []
    words += [f"from {_addresses(sources)}"] if incoming and ANYWHERE not in list(sources) else []
    words += [f"to {_addresses(targets)}"] if ANYWHERE not in list(targets) else []
    meant = PROTOCOLS.get(rule["protocol"])
    return " ".join([*words, f"protocol {meant}" if meant else f"{rule['protocol']} {rule['ports']}"])


def _sessions_that_go_on(rules: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for rule in rules:
        if rule["name"] == "base.ssh":
            there = _addresses(rule["addresses"])
            yield f"output to {there} tcp from port {rule['ports']} flags ack of syn,ack"


def _accepted(expressions: Iterable[Mapping[str, Any]]) -> str | None:
    """One rule that lets packets through, in words; None for one that does not."""
    words = []
    accepts = False
    for expression in expressions:
        (kind, body), *_rest = expression.items()
        if kind == "accept":
            accepts = True
        elif kind == "match":
            words.append(_match(body))
        elif kind == "vmap":
            kept = _let_on(body["data"])
            accepts = accepts or bool(kept)
            words.append(f"{_left(body['key'])} {','.join(kept)}")
        elif kind in {"jump", "goto", "queue"}:
            accepts = True
            words.append(json.dumps(expression, sort_keys=True))
        elif kind not in SILENT:
            words.append(json.dumps(expression, sort_keys=True))
    return (" ".join(words) or EVERYTHING) if accepts else None


def _let_on(data: Any) -> list[str]:
    """What a map of verdicts does not drop: by its name where it is accepted, with its verdict elsewhere.

    A map that has a name of its own is told by that: what it holds may change at any time.
    """
    if not isinstance(data, Mapping):
        return [str(data)]
    kept = [(_names(key), verdict) for key, verdict in data["set"] if not REFUSED & set(verdict)]
    return sorted(
        name if "accept" in verdict else f"{name} {json.dumps(verdict, sort_keys=True)}"
        for name, verdict in kept
    )


def _match(body: Mapping[str, Any]) -> str:
    left, right = body["left"], body["right"]
    if "&" in left:
        flags, mask = left["&"]
        return f"flags {_names(right)} of {_names(mask)}" if "payload" in flags else json.dumps(body)
    sign = "" if body["op"] == "==" else f"{body['op']} "
    named = _left(left)
    if named in {"from", "to"}:
        return f"{sign}{named} {_addresses(_prefixes(right))}"
    return f"{sign}{named} {_names(right)}"


def _left(left: Mapping[str, Any]) -> str:
    if "meta" in left:
        return {"l4proto": "protocol"}.get(left["meta"]["key"], str(left["meta"]["key"]))
    if "ct" in left:
        return str(left["ct"]["key"])
    if "payload" in left:
        protocol, part = left["payload"]["protocol"], left["payload"]["field"]
        named = {("ip", "saddr"): "from", ("ip", "daddr"): "to"}.get((protocol, part))
        endings = {"dport": protocol, "sport": f"{protocol} from port", "type": protocol}
        return named or endings.get(part, f"{protocol} {part}")
    return json.dumps(left, sort_keys=True)


def _names(right: Any) -> str:
    if isinstance(right, Mapping) and "range" in right:
        return "-".join(map(str, right["range"]))
    if isinstance(right, Mapping) and "set" in right:
        return ",".join(sorted(map(_names, right["set"])))
    if isinstance(right, list):
        return ",".join(sorted(map(_names, right), reverse=True))
    if isinstance(right, Mapping) and "|" in right:
        return ",".join(sorted(map(_names, right["|"]), reverse=True))
    return str(PROTOCOLS.get(right, right) if isinstance(right, str) else right)


def _prefixes(right: Any) -> Iterator[str]:
    if isinstance(right, Mapping) and "set" in right:
        for item in right["set"]:
            yield from _prefixes(item)
    elif isinstance(right, Mapping) and "range" in right:
        first, last = (ip_address(one) for one in right["range"])
        yield from map(str, summarize_address_range(first, last))
    elif isinstance(right, Mapping) and "prefix" in right:
        yield f"{right['prefix']['addr']}/{right['prefix']['len']}"
    else:
        yield str(right)


def _addresses(prefixes: Iterable[str]) -> str:
    """Prefixes in one way of writing, whoever wrote them."""
    networks = [ip_network(prefix) for prefix in prefixes]
    joined = collapse_addresses(network for network in networks if isinstance(network, IPv4Network))
    others = sorted(str(network) for network in networks if not isinstance(network, IPv4Network))
    return ",".join([*(str(network).removesuffix("/32") for network in joined), *others])
