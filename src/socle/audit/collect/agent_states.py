"""What services say of themselves while they run: accounts, listeners, quorums, guests' disks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from socle.audit.collect.agent import Questions, Unread, output, section

MARIADB_ACCOUNTS = """
SELECT JSON_OBJECT('name', User, 'host', Host,
  'privileges', CAST(JSON_VALUE(Priv, '$.access') AS UNSIGNED),
  'tls', COALESCE(JSON_VALUE(Priv, '$.ssl_type'), 0) > 0,
  'locked', COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0) = 1,
  'socket_only', JSON_EXISTS(Priv, '$.auth_or') AND JSON_VALUE(Priv, '$.authentication_string') = 'invalid')
FROM mysql.global_priv
"""
MARIADB_GRANTS = "SELECT JSON_OBJECT('name', User, 'host', Host, 'database', Db) FROM mysql.db"
MARIADB_VARIABLES = (
    "bind_address",
    "have_ssl",
    "have_symlink",
    "local_infile",
    "require_secure_transport",
    "skip_name_resolve",
    "ssl_cipher",
    "tls_version",
    "wsrep_on",
)
MARIADB_STATUS = ("wsrep_cluster_size", "wsrep_cluster_status", "wsrep_ready")

RABBITMQ = """
io:put_chars(rabbit_json:encode(#{
  users => [#{name => proplists:get_value(user, U),
              tags => [atom_to_binary(T) || T <- proplists:get_value(tags, U)]}
            || U <- rabbit_auth_backend_internal:list_users()],
  permissions => [#{user => proplists:get_value(user, P), vhost => proplists:get_value(vhost, P)}
                  || P <- rabbit_auth_backend_internal:list_permissions()],
  listeners => [#{protocol => atom_to_binary(element(3, L)), port => element(6, L)}
                || L <- rabbit_networking:node_listeners(node())],
  members => [atom_to_binary(N) || N <- rabbit_nodes:list_members()],
  running => [atom_to_binary(N) || N <- rabbit_nodes:list_running()],
  plugins => [atom_to_binary(N) || N <- rabbit_plugins:active()]})).
"""
"""One question: each call of ``rabbitmqctl`` starts a virtual machine of its own."""

LIBVIRT_SOCKETS = (
    "libvirtd-tcp.socket",
    "libvirtd-tls.socket",
    "virtproxyd-tcp.socket",
    "virtproxyd-tls.socket",
)
CEPH_OPTIONS = re.compile(r"ms_(mon_)?(cluster|service|client)_mode|ms_bind_msgr[12]|auth_.*_required")


@section("mariadb", "mariadb")
def mariadb(_questions: Questions) -> dict[str, Any]:
    """Accounts with what they may reach, settings in force, and the cluster's state. No hash is read."""
    accounts = [json.loads(line) for line in _sql(MARIADB_ACCOUNTS)]
    grants = [json.loads(line) for line in _sql(MARIADB_GRANTS)]
    for account in accounts:
        account |= {name: bool(account[name]) for name in ("tls", "locked", "socket_only")}
        account["databases"] = sorted(
            grant["database"]
            for grant in grants
            if (grant["name"], grant["host"]) == (account["name"], account["host"])
        )
    asked = "','".join(MARIADB_VARIABLES)
    status = "','".join(MARIADB_STATUS)
    return {
        "accounts": sorted(accounts, key=lambda account: (account["name"], account["host"])),
        "variables": _pairs(_sql(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ('{asked}')")),
        "cluster": _pairs(_sql(f"SHOW GLOBAL STATUS WHERE Variable_name IN ('{status}')")),
    }


def _sql(query: str) -> list[str]:
    return output(
        "mariadb", "--batch", "--raw", "--skip-column-names", "--execute", " ".join(query.split())
    ).splitlines()


def _pairs(lines: list[str]) -> dict[str, str]:
    return {name.lower(): value for name, _tab, value in (line.partition("\t") for line in sorted(lines))}


@section("rabbitmq", "rabbitmq")
def rabbitmq(_questions: Questions) -> dict[str, Any]:
    """Accounts, what they may reach, listeners, members of the cluster, plugins."""
    said = output("rabbitmqctl", "--silent", "eval", " ".join(RABBITMQ.split()))
    # What the question itself is worth is printed behind it.
    found: dict[str, Any] = json.JSONDecoder().raw_decode(said)[0]
    for name in ("users", "permissions", "listeners"):
        found[name].sort(key=lambda record: json.dumps(record, sort_keys=True))
    for name in ("members", "running", "plugins"):
        found[name].sort()
    return found


@section("ceph", "ceph")
def ceph(_questions: Questions) -> dict[str, Any]:
    """Of each daemon here, how it lets others in; of a monitor's host, the state of the cluster."""
    daemons = {}
    for place in sorted(Path("/var/run/ceph").glob("ceph-*.asok")):
        said = json.loads(output("ceph", "daemon", str(place), "config", "show", seconds=10))
        daemons[place.stem.removeprefix("ceph-")] = {
            name: value for name, value in said.items() if CEPH_OPTIONS.fullmatch(name)
        }
    if not daemons:
        raise Unread("aucun démon de Ceph ne répond sur cet hôte")
    return {"daemons": daemons, "cluster": _cluster()}


def _cluster() -> dict[str, Any] | None:
    """None where there is no monitor."""
    if not list(Path("/var/run/ceph").glob("ceph-mon.*.asok")):
        return None
    status = json.loads(output("ceph", "--connect-timeout", "5", "status", "--format", "json", seconds=10))
    pools = json.loads(
        output(
            "ceph", "--connect-timeout", "5", "osd", "pool", "ls", "detail", "--format", "json", seconds=10
        )
    )
    return {
        "health": status["health"]["status"],
        "checks": sorted(
            name for name, check in status["health"]["checks"].items() if not check.get("muted")
        ),
        "monitors": status["monmap"]["num_mons"],
        "quorum": sorted(status["quorum_names"]),
        "osds": {name: status["osdmap"][f"num_{name}osds"] for name in ("", "up_", "in_")},
        "pools": {pool["pool_name"]: {"size": pool["size"], "min_size": pool["min_size"]} for pool in pools},
    }


@section("ovn", "ovn")
def ovn(_questions: Questions) -> dict[str, Any]:
    """How the two databases are reached, their quorums, and which guests' ports may forge addresses."""
    databases = {}
    for short, name in (("nb", "OVN_Northbound"), ("sb", "OVN_Southbound")):
        control = f"/var/run/ovn/ovn{short}_db.ctl"
        remotes = output("ovs-appctl", "-T", "5", "-t", control, "ovsdb-server/list-remotes").split()
        status = output("ovs-appctl", "-T", "5", "-t", control, "cluster/status", name)
        databases[short] = {
            "remotes": sorted(remotes),
            "status": _said(status, "Status"),
            "leader": _said(status, "Leader") != "unknown",
            "members": len(re.findall(r"^    \w{4} \(\w{4} at ", status, re.MULTILINE)),
            "peers": sorted(set(re.findall(r"at (\w+):", status))),
        }
    return databases | {"ports": _ports()}


def _said(status: str, name: str) -> str:
    found = re.search(rf"^{name}: (.+)$", status, re.MULTILINE)
    return found[1] if found else "unknown"


def _ports() -> dict[str, Any]:
    columns = "--columns=name,type,port_security,addresses"
    said = json.loads(
        output(
            "ovn-nbctl",
            "--no-leader-only",
            "--timeout=5",
            "--format=json",
            columns,
            "list",
            "logical_switch_port",
        )
    )
    guests = [row for row in said["data"] if row[1] == ""]
    return {
        "guests": len(guests),
        "unprotected": sorted(
            name for name, _type, security, _addresses in guests if security == ["set", []]
        ),
        "unknown_addresses": sorted(row[0] for row in guests if "unknown" in json.dumps(row[3])),
    }


@section("libvirt", "nova_compute")
def libvirt(_questions: Questions) -> dict[str, Any]:
    """Sockets of libvirt that are open, and of each guest its disks, its screen and its confinement."""
    active = output("systemctl", "is-active", *LIBVIRT_SOCKETS, ok=(0, 3, 4)).split()
    names = output("virsh", "--connect", "qemu:///system", "list", "--all", "--name").split()
    return {
        "sockets": sorted(
            unit for unit, state in zip(LIBVIRT_SOCKETS, active, strict=True) if state == "active"
        ),
        "guests": [
            _guest(output("virsh", "--connect", "qemu:///system", "dumpxml", name)) for name in sorted(names)
        ],
    }


def _guest(described: str) -> dict[str, Any]:
    domain = ElementTree.fromstring(described)  # noqa: S314 - libvirt wrote it
    label = domain.find("seclabel")
    return {
        "name": domain.findtext("name"),
        "disks": [_disk(disk) for disk in domain.findall("devices/disk") if disk.get("device") == "disk"],
        "screens": [
            {
                "type": screen.get("type"),
                "listen": screen.get("listen"),
                "password": bool(screen.get("passwd")),
            }
            for screen in domain.findall("devices/graphics")
        ],
        "confined_by": None if label is None else label.get("model"),
        "shared_folders": len(domain.findall("devices/filesystem")),
        "host_devices": len(domain.findall("devices/hostdev")),
    }


def _disk(disk: ElementTree.Element) -> dict[str, Any]:
    source, encryption = disk.find("source"), disk.find(".//encryption")
    return {
        "type": disk.get("type"),
        "protocol": None if source is None else source.get("protocol"),
        "encryption": None if encryption is None else encryption.get("format"),
    }
