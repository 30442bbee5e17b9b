"""MariaDB, RabbitMQ, OpenBao and HAProxy: the accounts that the catalogue names, each with its password."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from socle import vault
from socle.credentials import SECOND
from tests.roles.lab import CATALOGUE, SITE, each_node, facts, feed, on, output

LOCAL = {"mariadb.sys", "root", "mysql"}
DATABASES = {name: set(entry.databases) for name, entry in CATALOGUE.components.items() if entry.databases}
QUEUES = {name for name, entry in CATALOGUE.components.items() if entry.queue}


def query(node: str, sql: str) -> list[list[str]]:
    """Rows of a query as the database's administrator."""
    text = feed(node, "mariadb --batch --skip-column-names", sql)
    return [line.split("\t") for line in text.splitlines()]


def owner(name: str) -> str:
    """The component that an account belongs to: each has one of two names, in turn."""
    return name.removesuffix(SECOND)


def accounts(node: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Name, host and privileges of every account."""
    rows = query(node, "SELECT User, Host, JSON_COMPACT(Priv) FROM mysql.global_priv")
    return [(name, at, json.loads(privileges.replace("\\\\", "\\"))) for name, at, privileges in rows]


@on("controllers")
def test_mariadb_has_the_components_accounts_only(node: str) -> None:
    found = accounts(node)
    assert sorted(owner(name) for name, at, _privileges in found if at != "localhost") == sorted(DATABASES)
    replication = {"replication"} if len(SITE.group("controllers")) > 1 else set()
    assert {name for name, at, _privileges in found if at == "localhost"} == LOCAL | replication


@on("controllers")
def test_no_remote_account_of_mariadb_is_without_password(node: str) -> None:
    for name, at, privileges in accounts(node):
        if at != "localhost":
            assert name
            assert privileges["plugin"] == "mysql_native_password"
            assert privileges["authentication_string"].startswith("*")
            assert privileges["access"] == 0, f"{name} has rights over everything"
            assert "auth_or" not in privileges


@on("controllers")
def test_a_component_reaches_its_own_databases_only(node: str) -> None:
    rows = query(node, "SELECT User, Db FROM mysql.db")
    assert {(owner(name), base) for name, base in rows} == {
        (name, base) for name, bases in DATABASES.items() for base in bases
    }
    present = {row[0] for row in query(node, "SHOW DATABASES")}
    system = {"information_schema", "mysql", "performance_schema", "sys"}
    assert present - system == set().union(*DATABASES.values())


@on("controllers")
def test_mariadb_lets_nobody_in_without_password(node: str) -> None:
    at = SITE.hosts[node].address
    for name in ("root", "", *DATABASES):
        login = f'--host={at} --user="{name}" --skip-password --disable-ssl-verify-server-cert'
        script = f'mariadb {login} --execute "SELECT 1" 2>&1'
        assert "Access denied" in feed(node, script, ""), name


@on("controllers")
def test_rabbitmq_has_the_components_accounts_and_no_guest(node: str) -> None:
    users = facts(node, "rabbitmqctl --quiet list_users --formatter json")
    assert sorted(owner(user["user"]) for user in users) == sorted(QUEUES)
    assert not [user for user in users if user["tags"]], "nobody administers by network"
    assert facts(node, "rabbitmqctl --quiet list_vhosts --formatter json") == [{"name": "/"}]


@on("controllers")
def test_rabbitmq_refuses_guest(node: str) -> None:
    answer = feed(node, "rabbitmqctl authenticate_user guest 2>&1; true", "guest\n")
    assert "failed to authenticate user" in answer


@on("controllers")
def test_every_back_end_of_haproxy_is_up(node: str) -> None:
    script = (
        'python3 -c "import socket; s = socket.socket(socket.AF_UNIX); '
        's.connect(\\"/run/haproxy/admin.sock\\"); s.sendall(b\\"show stat\\n\\"); '
        'print(s.makefile().read())"'
    )
    rows = list(csv.DictReader(io.StringIO(feed(node, script, "").lstrip("# "))))
    servers = [row for row in rows if row["svname"] in SITE.hosts]
    published = [e for c in CATALOGUE.components.values() for e in c.listeners.values() if e.front]
    assert len(servers) == len(published) * len(SITE.group("controllers"))
    assert not [f"{row['pxname']}: {row['status']}" for row in servers if not row["status"].startswith("UP")]


@on("controllers")
def test_haproxys_configuration_is_valid(node: str) -> None:
    output(node, "haproxy -c -q -f /etc/haproxy/haproxy.cfg")


def test_the_shared_addresses_are_held_once() -> None:
    nodes = [host.name for host in SITE.group("controllers")]
    for shared in (SITE.endpoints.internal.address, SITE.endpoints.public.address):
        holders = [node for node in nodes if f" {shared}/" in output(node, "ip -oneline address show")]
        assert len(holders) == 1, f"{shared} is held by {holders}"


def test_openbao_is_unsealed_on_all_its_nodes() -> None:
    states = vault.status(vault.place_of(SITE, CATALOGUE))
    assert [state.node.name for state in states] == [host.name for host in SITE.group("vault")]
    assert not [state for state in states if not state.reachable or state.sealed]
    assert sum(state.active for state in states) == 1


@on("vault")
def test_openbao_records_every_request_twice(node: str) -> None:
    size = "stat --printf=%s /var/log/openbao/audit.log"
    journal = "journalctl --quiet --identifier=openbao-audit --output=cat --lines=1 --show-cursor"
    before = int(output(node, size)), output(node, journal)
    vault.ansible_environment(vault.place_of(SITE, CATALOGUE))
    after = int(output(node, size)), output(node, journal)
    assert after[0] > before[0]
    assert after[1] != before[1]


@each_node
def test_the_journal_keeps_what_happened(node: str) -> None:
    assert output(node, "systemd-analyze cat-config systemd/journald.conf").count("Storage=persistent") >= 1
    assert output(node, "journalctl --quiet --lines=1 --output=cat")
