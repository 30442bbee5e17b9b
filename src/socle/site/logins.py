"""Logins that no person may have: those of the system, of the site's machines and of their programs."""

from __future__ import annotations

from functools import cache

from socle.catalogue import accounts, load
from socle.credentials import SECOND

LONGEST = 32
"""Characters of an account's name: useradd(8)."""

_BASE = """
root daemon bin sys sync games man lp mail news uucp proxy www-data backup list irc gnats nobody
adm tty disk kmem dialout fax voice cdrom floppy tape sudo audio dip operator src shadow utmp video sasl
plugdev staff users nogroup
"""
"""Accounts and groups of base-passwd: an account has a group of its own name."""
_PACKAGES = """
crontab docker input kvm netdev render sgx ssh wheel
avahi ceph chrony dnsmasq epmd iscsi libvirt libvirt-qemu libvirtdbus memcache messagebus mysql ntpsec nvme
openvswitch polkitd postfix rtkit sshd stunnel4 swtpm tcpdump tss usbmux uuidd
"""
"""Accounts and groups of Debian's packages."""
SYSTEM = frozenset((_BASE + _PACKAGES).split())
"""Accounts and groups below 1000 on Debian: what has one of these names is not a person."""

_OPENBAO = """
deployer ansible stacks snapshot rotation auditor cloud-auditor audit audit-signer canary eraser release
former default
"""
OPENBAO = frozenset(_OPENBAO.split())
"""What logs in to OpenBao, and what signs or allows there under a name of its own."""

PREFIXES = ("systemd-", "socle-", "host-", "service-", "role-")
"""How the names begin that Debian, the kit and OpenBao's machines keep for themselves."""


@cache
def machines() -> frozenset[str]:
    """Accounts of the kit's own machines and of the components of the catalogue."""
    components = load().components
    found = {*components, *(component.user for component in components.values())}
    found |= {c.identity.user for c in components.values() if c.identity and c.identity.user}
    found |= {own.owner for c in components.values() for own in c.certificates.values()}
    found |= set(accounts.ROLES)
    return frozenset(found | {f"{name}{SECOND}" for name in found} | OPENBAO)


def refused(login: str, deploy_user: str) -> str | None:
    """Why a login cannot be a person's; None when it can."""
    if login == deploy_user:
        return "is the account that deploys"
    if login in SYSTEM or login.startswith(PREFIXES):
        return "is an account or a group of the system"
    if login in machines():
        return "is the account of a machine or of a program"
    if not any(sign.isalpha() for sign in login):
        return "reads as the number of an account"
    return f"has over {LONGEST} characters" if len(login) > LONGEST else None
