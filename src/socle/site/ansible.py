"""What Ansible gets of a site: the variables that ``plugins/inventory/socle_site.py`` hands to playbooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from socle.catalogue import Catalogue, accounts
from socle.catalogue.model import Front, Listener
from socle.paths import state_dir
from socle.site.entrance import trusted_authority
from socle.site.flows import Flow, flows, node_rules
from socle.site.hosts import Host
from socle.site.model import Site

CA_FILE = "/usr/local/share/ca-certificates/socle.crt"
"""The site's own authority alone: inside, no public one is trusted."""
HTTPS = 443
TLS_CIPHERS = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
)
"""TLS 1.2 with our certificates: forward secrecy and authenticated encryption (ANSSI, Recommandations de
sécurité relatives à TLS, R7 to R10)."""
TLS_CIPHERSUITES = ("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256")
"""TLS 1.3 (same source)."""


def shared_variables(site: Site, catalogue: Catalogue) -> dict[str, Any]:
    """Of all hosts: ``site``, ``catalogue``, ``provider``, ``urls``, those of TLS and of the connection."""
    settings = site.settings.model_dump(mode="json")
    return {
        "site": {
            "name": site.name,
            **settings,
            "people": {login: person.model_dump(mode="json") for login, person in site.people.people.items()},
            "custodians": list(site.people.custodians),
        },
        "catalogue": catalogue.model_dump(mode="json", by_alias=True)["components"],
        "provider": {
            "domain": accounts.DOMAIN,
            "accounts": {name: list(roles) for name, roles in accounts.ROLES.items()},
            "people": {
                login: list(roles)
                for login, person in site.people.people.items()
                if (roles := accounts.roles_of(person.roles))
            },
            "factors": dict(accounts.FACTORS),
            "deployer": accounts.DEPLOYER,
            "auditor": accounts.AUDITOR,
        },
        "urls": urls(site, catalogue),
        "ca_file": CA_FILE,
        "tls_ciphers": ":".join(TLS_CIPHERS),
        "tls_ciphersuites": ":".join(TLS_CIPHERSUITES),
        "ssh_user_authority": trusted_authority(site),
        "ansible_user": site.settings.deploy_user,
        "ansible_become": True,
        "ansible_become_method": "sudo",
        "ansible_python_interpreter": "/usr/bin/python3",
        **_connection(site),
    }


def _connection(site: Site) -> dict[str, str]:
    """The SSH configuration of the site's state folder, where ``socle lab up`` writes one."""
    config = state_dir(site.name) / "ssh_config"
    own = {"ansible_ssh_common_args": f"-F {config}"} if config.is_file() else {}
    # Ansible keeps connections open by the names of hosts, which two sites may share: each has its own.
    return {**own, "ansible_control_path_dir": str(config.with_name("cp"))}


def host_variables(site: Site, catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """Variables of each host: ``node`` and the address to connect to."""
    matrix = flows(site, catalogue)
    return {
        host.name: {"ansible_host": host.address, "node": node(site, matrix, host, catalogue)}
        for host in site.hosts.values()
    }


def node(site: Site, matrix: Sequence[Flow], host: Host, catalogue: Catalogue) -> dict[str, Any]:
    """A host as roles see it, with its components, their packages, and its firewall's rules."""
    described = host.model_dump(mode="json")
    return {
        **described,
        "groups": list(host.groups),
        "components": list(catalogue.of_groups(host.groups)),
        "packages": list(catalogue.packages_of(host.groups)),
        "firewall": node_rules(site, matrix, host),
    }


def urls(site: Site, catalogue: Catalogue) -> dict[str, dict[str, str]]:
    """Base URLs of all that speaks HTTP, without the path: ``urls.nova.internal``, ``urls.horizon.public``.

    The listener ``api`` (or the only one) goes by the component's name, others by ``<component>_<listener>``.
    """
    found: dict[str, dict[str, str]] = {}
    for component, entry in catalogue.components.items():
        fronts = {
            name: item for name, item in entry.listeners.items() if item.front and item.protocol == "http"
        }
        for name, listener in fronts.items():
            key = component if name == "api" or len(fronts) == 1 else f"{component}_{name}"
            found[key] = _fronts(site, listener, listener.front or Front(zones=()))
    port = catalogue["openbao"].listeners["api"].port
    found["openbao"] = {"internal": f"https://{site.openbao.name}:{port}"}
    return found


def _fronts(site: Site, listener: Listener, front: Front) -> dict[str, str]:
    names = {
        "admin": ("internal", site.endpoints.internal.name),
        "api": ("public", site.endpoints.public.name),
    }
    scheme = "https" if front.tls else "http"
    port = "" if front.tls and listener.front_port == HTTPS else f":{listener.front_port}"
    return {names[zone][0]: f"{scheme}://{names[zone][1]}{port}" for zone in front.zones}
