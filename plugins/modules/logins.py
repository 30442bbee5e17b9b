#!/usr/bin/python
"""Prove by real logins which passwords the database, the queue and Keystone take, and which they refuse."""

from __future__ import annotations

DOCUMENTATION = r"""
module: logins
short_description: Prove which passwords are accepted and which are refused
description:
  - Runs on a controller and logs in as the services do, over TLS through the same addresses.
  - Only a refusal of the login itself counts as refused. A server that does not answer fails the task.
options:
  servers:
    description: >-
      Where each kind of login is tried. C(database), host and port of MariaDB; C(queue), host and port of
      RabbitMQ; C(identity), URL of Keystone; C(ca), the authority to trust.
    type: dict
    required: true
  accepted:
    description: >-
      Logins that must be let in, as C(kind), C(name), C(password) and, at Keystone, C(domain) by name.
    type: list
    elements: dict
    default: []
  refused:
    description: Logins that must be refused.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: The old password is refused
  logins:
    servers: {database: {host: 10.0.0.10, port: 3306}, ca: /etc/ssl/certs/ca-certificates.crt}
    refused: [{kind: database, name: nova, password: "{{ old }}"}]
"""

RETURN = r"""
proved: {description: How many logins were tried., type: int, returned: success}
"""

import json
import urllib.error
import urllib.request

from ansible.module_utils.basic import AnsibleModule

SECONDS = 15
# MariaDB: the password is wrong; there is no such account.
ACCESS_DENIED = (1045, 1698)
UNAUTHORIZED = 401


def database(servers, name, password, domain=None):
    """MariaDB, as SQLAlchemy does it."""
    import pymysql  # noqa: PLC0415 - there is none where no database is asked

    server = servers["database"]
    trust = {"ssl": {"ca": servers["ca"]}} if servers.get("ca") else {}
    try:
        pymysql.connect(
            host=server["host"],
            port=int(server["port"]),
            user=name,
            password=password,
            connect_timeout=SECONDS,
            **trust,
        ).close()
    except pymysql.err.OperationalError as error:
        if error.args[0] in ACCESS_DENIED:
            return False
        raise
    return True


def queue(servers, name, password, domain=None):
    """RabbitMQ, as oslo.messaging does it."""
    import amqp  # noqa: PLC0415 - as above

    server = servers["queue"]
    trust = {"ca_certs": servers["ca"], "server_hostname": server["host"]} if servers.get("ca") else False
    connection = amqp.Connection(
        host=f"{server['host']}:{server['port']}",
        userid=name,
        password=password,
        ssl=trust,
        connect_timeout=SECONDS,
    )
    try:
        connection.connect()
    except amqp.exceptions.AccessRefused:
        return False
    connection.close()
    return True


def identity(servers, name, password, domain=None):
    """Keystone, for a token without a scope."""
    where = {"name": domain} if domain else {"id": "default"}
    user = {"name": name, "domain": where, "password": password}
    login = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": "unscoped"}
    url = servers["identity"].rstrip("/") + "/v3/auth/tokens"
    request = urllib.request.Request(url, json.dumps({"auth": login}).encode(), method="POST")  # noqa: S310
    request.add_header("Content-Type", "application/json")
    try:
        urllib.request.urlopen(request, timeout=SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == UNAUTHORIZED:
            return False
        raise
    return True


TRIED = {"database": database, "queue": queue, "identity": identity}


def disproved(servers, logins, wanted):
    """The logins that end otherwise than wanted, as lines without passwords."""
    verb = "refuses" if wanted else "still accepts"
    return [
        f"{login['kind']} {verb} {login['name']}"
        for login in logins
        if TRIED[login["kind"]](servers, login["name"], login["password"], login.get("domain")) is not wanted
    ]


def main():
    kinds = {"type": "str", "required": True, "choices": sorted(TRIED)}
    login = {
        "kind": kinds,
        "name": {"type": "str", "required": True},
        "password": {"type": "str", "required": True, "no_log": True},
        "domain": {"type": "str"},
    }
    logins = {"type": "list", "elements": "dict", "default": [], "options": login}
    module = AnsibleModule(
        argument_spec={
            "servers": {"type": "dict", "required": True},
            "accepted": logins,
            "refused": logins,
        },
        supports_check_mode=True,
    )
    servers, accepted, refused = (module.params[name] for name in ("servers", "accepted", "refused"))
    try:
        wrong = disproved(servers, accepted, True) + disproved(servers, refused, False)
    except Exception as error:  # noqa: BLE001 - each library has errors of its own
        module.fail_json(msg=f"a server does not answer: {type(error).__name__}: {error}")
    if wrong:
        module.fail_json(msg="; ".join(wrong))
    module.exit_json(changed=False, proved=len(accepted) + len(refused))


if __name__ == "__main__":
    main()
