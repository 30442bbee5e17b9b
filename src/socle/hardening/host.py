"""What the rules become on one host: what it cannot do is named, and so is what it does otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from socle.hardening.rules import DeviationEntry, Document, Rule, load
from socle.site.entrance import AUDIT_ACCOUNT

REASONS = {
    "kernel": "the host shares its kernel and its mounts with the machine that it runs on",
    "auditd": "the kernel's audit belongs to the machine that the host runs on",
    "apparmor": "the host has no AppArmor of its own",
    "console": "the host has no console on which a password could be typed",
    "disk": "the host's files lie on the machine that it runs on, which could change them and their seals",
}
BY_KERNEL = frozenset({"console", "disk"})
"""What a host has exactly when it has a kernel of its own."""
MANUAL = "for people to judge: "


@dataclass(frozen=True)
class HostTraits:
    """What the rules must know of a host."""

    groups: Sequence[str]
    capabilities: Mapping[str, bool]
    deploy_user: str
    people: Sequence[str] = ()
    user_authority: str = ""
    """Public key that signs people's SSH certificates; empty while there is none."""


@dataclass(frozen=True)
class NotEvaluated:
    """A rule that nothing on this host can show."""

    rules: tuple[str, ...]
    what: str
    reason: str


@dataclass(frozen=True)
class Deviation:
    """A rule that this host does not follow, or follows otherwise."""

    rules: tuple[str, ...]
    what: str
    reason: str


@dataclass(frozen=True)
class Applied:
    """The rules of one host."""

    rules: tuple[Rule, ...]
    not_evaluated: tuple[NotEvaluated, ...]
    deviations: tuple[Deviation, ...]


def applied(host: HostTraits, document: Document | None = None) -> Applied:
    """The rules as they hold on a host."""
    known = document or load()
    able = [rule for rule in known.rules if _can(host, rule.needs)]
    unable = [rule for rule in known.rules if rule not in able]
    ours = [d for d in known.deviations if {*host.groups, "all"} & set(d.groups)]
    manual = [entry for entry in known.accounted if entry.by == "manual"]
    return Applied(
        rules=tuple(_with(rule, ours, host) for rule in able),
        not_evaluated=(
            *(NotEvaluated(r.rules, f"{r.theme}: {r.why}", REASONS[str(r.needs)]) for r in unable),
            *(NotEvaluated(entry.rules, entry.how, MANUAL + "no program can tell") for entry in manual),
        ),
        deviations=tuple(Deviation(d.rules, _what(d, host), d.reason) for d in ours),
    )


def _can(host: HostTraits, need: str | None) -> bool:
    return need is None or host.capabilities["kernel" if need in BY_KERNEL else need]


def _with(rule: Rule, deviations: Sequence[DeviationEntry], host: HostTraits) -> Rule:
    """A rule with the deviations of the host in it."""
    if rule.form == "sshd":
        return rule.model_copy(update={"set": {**rule.settings, **_who_comes_in(host)}})
    changed: dict[str, str] = dict(rule.settings)
    lines = list(rule.lines)
    for deviation in deviations:
        name = deviation.setting
        if name in changed:
            if deviation.value is None:
                del changed[name]
            else:
                changed[name] = deviation.value
        elif deviation.accounts and f"Defaults {name}" in lines:
            lines.append(f"Defaults:{_accounts(deviation, host)} {deviation.value}")
    return rule.model_copy(update={"set": tuple(lines) if rule.lines else changed})


def _who_comes_in(host: HostTraits) -> dict[str, str]:
    """Accounts that SSH lets in. With the authority there, its certificates are the only keys."""
    named = {"AllowUsers": " ".join([host.deploy_user, *sorted([*host.people, AUDIT_ACCOUNT])])}
    if not host.user_authority:
        return named
    return {
        **named,
        "TrustedUserCAKeys": "/etc/ssh/socle_user_authority.pub",
        "AuthorizedKeysFile": "none",
        "PubkeyAcceptedAlgorithms": "ssh-ed25519-cert-v01@openssh.com",
    }


def _accounts(deviation: DeviationEntry, host: HostTraits) -> str:
    return ",".join(account.format(deploy_user=host.deploy_user) for account in deviation.accounts)


def _what(deviation: DeviationEntry, host: HostTraits) -> str:
    if deviation.setting is None:
        return "not followed as written"
    who = f" for {_accounts(deviation, host)}" if deviation.accounts else ""
    value = "left alone" if deviation.value is None else deviation.value
    return f"{deviation.setting}{who}: {value}"
