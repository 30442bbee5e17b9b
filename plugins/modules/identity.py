#!/usr/bin/python
"""Ensure in one execution what Keystone holds for the cloud itself: accounts of services, their catalogue."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity
short_description: Ensure the accounts of services and the service catalogue in Keystone
description:
  - Runs on a controller, logs in as the deployer and creates or corrects what differs. Nothing that it does
    not know is removed, but for the roles that an account holds in its project, and the accounts that are
    named as former.
  - When the deployer cannot log in, C(keystone-manage bootstrap) opens the account C(admin) with a password
    that only this process knows, which makes the deployer; that needs Keystone's database only.
  - An account of the provider's domain that is neither a machine's nor a person's who has a duty is removed,
    and its tokens, seeds and application credentials die with it. People's accounts are made by their own
    enrolment; here they are held to both factors and to the roles of their duty.
  - C(admin) is closed at the end, whoever opened it.
  - What Keystone keeps of a password cannot be compared, so a keyed digest of each is remembered on the node;
    an account is asked to log in only when the digest is missing or differs.
options:
  url: {description: Keystone on this node, type: str, required: true}
  provider: {description: Domain of the provider and its project, type: str, required: true}
  deployer: {description: The account of the provider to log in as, by its name, type: str, required: true}
  roles: {description: Roles beside those of Keystone itself, type: list, elements: str, default: []}
  region: {description: Region of all endpoints, type: str, required: true}
  accounts:
    description: >-
      Accounts of services in the domain C(default), with their roles in the project C(service); those of the
      provider's machines in its own domain and project.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Account, type: str, required: true}
      password: {description: Password, type: str, required: true}
      roles: {description: Roles, type: list, elements: str, required: true}
      provider: {description: Whether it is of the provider's domain, type: bool, default: false}
  former:
    description: Accounts that must not be there; their tokens die with them.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Account, type: str, required: true}
      provider: {description: Whether it is of the provider's domain, type: bool, default: false}
  people:
    description: Who has a duty, by login, with their roles in the provider's project.
    type: dict
    default: {}
  factors: {description: Options of each person's account, type: dict, default: {}}
  services:
    description: Entries of the catalogue.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Service, type: str, required: true}
      type: {description: Type, type: str, required: true}
      description: {description: What it is, type: str, default: ""}
      public: {description: URL for tenants, type: str, required: true}
      internal: {description: URL for services, type: str, required: true}
      admin: {description: URL for administrators, type: str, required: true}
"""

EXAMPLES = r"""
- name: The catalogue and the accounts of services are in Keystone
  identity:
    url: http://10.0.0.11:5000
    provider: provider
    deployer: deployer
    region: lab
    accounts:
      - {name: deployer, password: "{{ password }}", roles: [admin], provider: true}
    services: []
"""

RETURN = r"""
changes: {description: What was created or corrected, one line each, returned: always, type: list}
"""

import hashlib
import hmac
import json
import os
import secrets
import subprocess

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.keystone import UNAUTHORIZED, Keystone, RefusedError, login

REMEMBERED = "/var/lib/socle/identity.json"
INTERFACES = ("public", "internal", "admin")
PROJECT = "service"
DEFAULT = {"id": "default"}
BOOTSTRAP = "admin"
# Nothing stops by itself: neither a stranger who guesses passwords, nor a date, nor a rule for people.
OPTIONS = dict.fromkeys(
    (
        "ignore_lockout_failure_attempts",
        "ignore_password_expiry",
        "ignore_change_password_upon_first_use",
        "ignore_user_inactivity",
    ),
    True,
)


class Ensure:
    """Compare and correct; every change is one line in `changes`."""

    def __init__(self, keystone, check_mode):
        self.keystone, self.check_mode, self.changes = keystone, check_mode, []

    def change(self, line, method, path, body=None):
        """Make one change, unless in check mode; the decoded answer."""
        self.changes.append(line)
        return {} if self.check_mode else self.keystone.call(method, path, body)[1]

    def by_name(self, kind, query=""):
        found = self.keystone.get(f"/{kind}s{query}")[kind + "s"]
        return {entry["name"]: entry for entry in found}

    def region(self, name):
        if name not in {entry["id"] for entry in self.keystone.get("/regions")["regions"]}:
            self.change("region " + name, "POST", "/regions", {"region": {"id": name}})

    def domain(self, name):
        """Id of the provider's domain."""
        found = self.by_name("domain").get(name)
        if found:
            return found["id"]
        body = {"domain": {"name": name, "description": "The provider's machines and people"}}
        return self.change("domain " + name, "POST", "/domains", body).get("domain", {}).get("id")

    def project(self, domain, name):
        """Id of a project for accounts of one kind."""
        found = self.by_name("project", "?domain_id=" + domain).get(name) if domain else None
        if found:
            return found["id"]
        body = {"project": {"name": name, "domain_id": domain, "description": "Accounts, and nothing else"}}
        return self.change("project " + name, "POST", "/projects", body).get("project", {}).get("id")

    def own_roles(self, names):
        there = self.by_name("role")
        for name in names:
            if name not in there:
                self.change("role " + name, "POST", "/roles", {"role": {"name": name}})

    def services(self, wanted, region):
        found = {entry["type"]: entry for entry in self.keystone.get("/services")["services"]}
        endpoints = {
            (entry["service_id"], entry["interface"]): entry
            for entry in self.keystone.get("/endpoints")["endpoints"]
            if entry["region_id"] == region
        }
        for service in wanted:
            identifier = self.service(service, found.get(service["type"]))
            for interface in INTERFACES:
                self.endpoint(service, interface, identifier, region, endpoints.get((identifier, interface)))

    def service(self, service, found):
        body = {key: service[key] for key in ("name", "type", "description")}
        if found is None:
            answer = self.change("service " + service["name"], "POST", "/services", {"service": body})
            return answer.get("service", {}).get("id")
        if any(found.get(key) != value for key, value in body.items()):
            self.change("service " + service["name"], "PATCH", "/services/" + found["id"], {"service": body})
        return found["id"]

    def endpoint(self, service, interface, identifier, region, found):
        line = f"endpoint {service['name']} {interface}"
        url = service[interface]
        if found is None:
            body = {"service_id": identifier, "interface": interface, "region_id": region, "url": url}
            self.change(line, "POST", "/endpoints", {"endpoint": body})
        elif found["url"] != url or not found["enabled"]:
            body = {"url": url, "enabled": True}
            self.change(line, "PATCH", "/endpoints/" + found["id"], {"endpoint": body})

    def users(self, domain):
        """The accounts of a domain by name; none where the domain is not made yet."""
        return self.by_name("user", "?domain_id=" + domain) if domain else {}

    def accounts(self, wanted, domain, project, remembered):
        """Accounts of a domain with their passwords and roles; returns the digests to remember."""
        users = self.users(domain)
        roles = self.by_name("role")
        digests = {}
        for account in wanted:
            name, password = account["name"], account["password"]
            identifier = self.account(account, users.get(name), remembered.get(name), domain, project)
            same = known(remembered.get(name), identifier, password)
            digests[name] = remembered[name] if same else digest(identifier, password)
            self.roles(account, identifier, project, roles)
        return digests

    def people(self, wanted, factors, machines, domain, project):
        """Who left is gone; the others have their duty's roles, and open by both factors alone."""
        roles = self.by_name("role")
        for name, user in sorted(self.users(domain).items()):
            if name in wanted:
                if any(user.get("options", {}).get(key) != value for key, value in factors.items()):
                    body = {"user": {"options": factors}}
                    self.change(f"user {name} opens by two factors", "PATCH", "/users/" + user["id"], body)
                self.roles({"name": name, "roles": wanted[name]}, user["id"], project, roles)
            elif name not in machines:
                self.change(f"no user {name}, who has no duty here", "DELETE", "/users/" + user["id"])

    def remove(self, names, domain):
        """Accounts that a rotation has retired."""
        users = self.users(domain) if names else {}
        for name in names:
            if name in users:
                self.change("no user " + name, "DELETE", "/users/" + users[name]["id"])

    def close(self):
        """The account that Keystone was begun with lets nobody in; its tokens die with that.

        When an emergency opens it, strangers who guess its password do not lock it.
        """
        found = self.users(DEFAULT["id"]).get(BOOTSTRAP)
        unlocked = {"ignore_lockout_failure_attempts": True}
        if found and (found["enabled"] or not unlocked.items() <= found.get("options", {}).items()):
            body = {"user": {"enabled": False, "options": unlocked}}
            self.change(f"user {BOOTSTRAP} is closed", "PATCH", "/users/" + found["id"], body)

    def account(self, account, found, remembered, domain, project):
        name, password = account["name"], account["password"]
        if found is None:
            body = {"name": name, "domain_id": domain, "password": password, "options": OPTIONS}
            body.update(default_project_id=project, description="Account of a machine")
            return self.change("user " + name, "POST", "/users", {"user": body}).get("user", {}).get("id")
        if not found["enabled"]:
            body = {"user": {"enabled": True}}
            self.change(f"user {name} enabled", "PATCH", "/users/" + found["id"], body)
        self.exempt(found)
        if not known(remembered, found["id"], password) and not self.accepts(name, password, domain):
            body = {"user": {"password": password}}
            self.change("password of user " + name, "PATCH", "/users/" + found["id"], body)
        return found["id"]

    def exempt(self, user):
        held = user.get("options", {})
        if any(held.get(name) != value for name, value in OPTIONS.items()):
            body = {"user": {"options": OPTIONS}}
            line = f"user {user['name']} does not stop by itself"
            self.change(line, "PATCH", "/users/" + user["id"], body)

    def accepts(self, name, password, domain):
        try:
            self.keystone.login(name, password, {"id": domain})
        except RefusedError as refusal:
            if refusal.code == UNAUTHORIZED:
                return False
            raise
        return True

    def roles(self, account, user, project, roles):
        held = set()
        if user and project:
            path = f"/projects/{project}/users/{user}/roles"
            held = {role["name"] for role in self.keystone.get(path)["roles"]}
        for name in sorted(set(account["roles"]) ^ held):
            grant = name in account["roles"]
            line = f"role {name} {'to' if grant else 'from'} user {account['name']}"
            identifier = roles.get(name, {}).get("id")  # none where check mode did not make it
            path = f"/projects/{project}/users/{user}/roles/{identifier}"
            self.change(line, "PUT" if grant else "DELETE", path)


def digest(identifier, password, salt=None):
    """A keyed digest of a password for an account's id: "salt:digest"."""
    salt = salt or os.urandom(16).hex()
    text = f"{identifier}:{password}".encode()
    return salt + ":" + hmac.new(bytes.fromhex(salt), text, hashlib.sha256).hexdigest()


def known(remembered, identifier, password):
    if not remembered or ":" not in remembered:
        return False
    return hmac.compare_digest(remembered, digest(identifier, password, remembered.split(":")[0]))


def recall():
    try:
        with open(REMEMBERED) as stream:
            return json.load(stream)
    except (OSError, ValueError):
        return {}


def remember(digests):
    os.makedirs(os.path.dirname(REMEMBERED), mode=0o755, exist_ok=True)
    temporary = REMEMBERED + ".new"
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        json.dump(digests, stream)
    os.replace(temporary, REMEMBERED)


def bootstrap(password, region):
    """Create the domain `default`, the account `admin`, the roles; open `admin` with this password."""
    environment = dict(os.environ, OS_BOOTSTRAP_PASSWORD=password, OS_BOOTSTRAP_REGION_ID=region)
    command = ["runuser", "-u", "keystone", "--", "keystone-manage", "bootstrap"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip()[-500:].replace(password, "***")
        raise RuntimeError("keystone-manage bootstrap: " + reason)


def enter(module, keystone, deployer):
    """Log in as the deployer, who is made first where there is none; the lines of what changed.

    Which roles Keystone's own account needs for that, it has from `keystone-manage bootstrap`.
    """
    wanted = module.params
    own = {"name": wanted["provider"]}, wanted["provider"]
    if login(keystone, deployer["name"], deployer["password"], own, 2 if module.check_mode else 30):
        return []
    lines = [f"user {deployer['name']}, by keystone-manage bootstrap"]
    if module.check_mode:
        return lines
    password = secrets.token_urlsafe(32)
    bootstrap(password, wanted["region"])
    if not login(keystone, BOOTSTRAP, password, (DEFAULT, BOOTSTRAP)):
        raise RuntimeError("admin cannot log in with the password that bootstrap has just set")
    state = Ensure(keystone, check_mode=False)
    domain = state.domain(wanted["provider"])
    state.accounts([deployer], domain, state.project(domain, wanted["provider"]), {})
    if not login(keystone, deployer["name"], deployer["password"], own):
        raise RuntimeError(f"{deployer['name']} cannot log in though bootstrap has just made it")
    return lines + state.changes


def ensure(module, keystone):
    """All of it; the lines of what changed."""
    wanted = module.params
    deployer = next(a for a in wanted["accounts"] if a["provider"] and a["name"] == wanted["deployer"])
    changes = enter(module, keystone, deployer)
    if changes and module.check_mode:
        return changes
    state = Ensure(keystone, module.check_mode)
    state.region(wanted["region"])
    state.own_roles(wanted["roles"])
    default, provider = DEFAULT["id"], state.domain(wanted["provider"])
    places = {
        False: (default, state.project(default, PROJECT)),
        True: (provider, state.project(provider, wanted["provider"])),
    }
    state.services(wanted["services"], wanted["region"])
    remembered = recall()
    digests = {}
    for kind, (domain, project) in places.items():
        accounts = [account for account in wanted["accounts"] if account["provider"] is kind]
        digests |= state.accounts(accounts, domain, project, remembered)
        state.remove([entry["name"] for entry in wanted["former"] if entry["provider"] is kind], domain)
    machines = {entry["name"] for entry in wanted["accounts"] + wanted["former"] if entry["provider"]}
    state.people(wanted["people"], wanted["factors"], machines, *places[True])
    state.close()
    if not module.check_mode and digests != remembered:
        remember(digests)
    return changes + state.changes


def main():
    text = {"type": "str", "required": True}
    secret = dict(text, no_log=True)
    account = {"name": text, "password": secret}
    account["roles"] = {"type": "list", "elements": "str", "required": True}
    account["provider"] = {"type": "bool", "default": False}
    former = {"name": text, "provider": {"type": "bool", "default": False}}
    service = {"name": text, "type": text, "description": {"type": "str", "default": ""}}
    service.update(dict.fromkeys(INTERFACES, text))
    module = AnsibleModule(
        argument_spec={
            "url": text,
            "provider": text,
            "deployer": text,
            "region": text,
            "roles": {"type": "list", "elements": "str", "default": []},
            "accounts": {"type": "list", "elements": "dict", "default": [], "options": account},
            "former": {"type": "list", "elements": "dict", "default": [], "options": former},
            "people": {"type": "dict", "default": {}},
            "factors": {"type": "dict", "default": {}},
            "services": {"type": "list", "elements": "dict", "default": [], "options": service},
        },
        supports_check_mode=True,
    )
    try:
        changes = ensure(module, Keystone(module.params["url"]))
    except (RefusedError, RuntimeError) as error:
        if module.check_mode and not isinstance(error, RefusedError):
            module.exit_json(changed=True, changes=["everything: Keystone does not run yet"])
        module.fail_json(msg=str(error))
    after = "".join(line + "\n" for line in changes)
    module.exit_json(changed=bool(changes), changes=changes, diff={"before": "", "after": after})


if __name__ == "__main__":
    main()
