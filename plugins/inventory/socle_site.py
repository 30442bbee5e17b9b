"""Inventory plugin: a site folder, read and checked by the site model, as groups and variables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from socle import catalogue as service_catalogue
from socle.site import Site, SiteErrors, load
from socle.site.ansible import host_variables, shared_variables
from socle.site.hosts import Group

DOCUMENTATION = """
name: socle_site
short_description: Hosts, groups and variables of a Socle site
description:
  - Reads a site folder (C(inventories/<site>)) through the site model, which checks every file of it.
  - Gives every host C(site), C(catalogue), C(urls) and C(ca_file), and each host its C(node).
"""


class InventoryModule(BaseInventoryPlugin):
    """``ansible-playbook -i inventories/lab/site.yml playbooks/site.yml``."""

    NAME = "socle_site"

    def verify_file(self, path: str) -> bool:
        """The ``site.yml`` of a site folder: Ansible takes a folder apart before it asks any plugin."""
        return Path(path).name == "site.yml" and Path(path).is_file()

    def parse(self, inventory, loader, path, cache=True):  # type: ignore[no-untyped-def]
        """Fill the inventory.

        Raises:
            AnsibleParserError: every error of the site files, one a line.
        """
        super().parse(inventory, loader, path, cache)
        try:
            site = load(Path(path).parent)
        except SiteErrors as errors:
            raise AnsibleParserError(f"the site is not valid:\n{errors}") from None
        self._fill(site)

    def _fill(self, site: Site) -> None:
        services = service_catalogue.load()
        for name, value in shared_variables(site, services).items():
            self.inventory.set_variable("all", name, value)
        for group in get_args(Group):
            self.inventory.add_group(group)
        variables = host_variables(site, services)
        for host in site.hosts.values():
            self._add_host(host, variables[host.name])

    def _add_host(self, host, variables) -> None:  # type: ignore[no-untyped-def]
        self.inventory.add_host(host.name)
        for group in host.groups:
            self.inventory.add_host(host.name, group=group)
        for name, value in variables.items():
            self.inventory.set_variable(host.name, name, value)
