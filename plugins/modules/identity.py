#!/usr/bin/python
"""Ensure in one execution what Keystone holds for the cloud itself: accounts of services, their catalogue."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity
short_description: Ensure the accounts of services and the service catalogue in Keystone
description:
  - Runs on a controller, logs in as C(admin) and creates or corrects what differs. Nothing that it does not
    know is removed, but for the roles that an account of a service holds in the project C(service), and the
    accounts that are named as former.
  - When C(admin) cannot log in with the password, C(keystone-manage bootstrap) sets it; that needs Keystone's
    database only.
  - What Keystone keeps of a password cannot be compared, so a keyed digest of each is remembered on the node;
    an account is asked to log in only when the digest is missing or differs.
options:
  url: {description: Keystone on this node, type: str, required: true}
  password: {description: Password of C(admin), type: str, required: true}
  region: {description: Region of all endpoints, type: str, required: true}
  accounts:
    description: Accounts of services in the domain C(default), with their roles in the project C(service).
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Account, type: str, required: true}
      password: {description: Password, type: str, required: true}
      roles: {description: Roles, type: list, elements: str, required: true}
  former:
    description: Accounts of the domain C(default) that must not be there; their tokens die with them.
    type: list
    elements: str
    default: []
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
    password: "{{ lookup('secret', 'keystone/admin') }}"
    region: lab
    accounts: []
    services: []
"""

RETURN = r"""
changes: {description: What was created or corrected, one line each, returned: always, type: list}
"""

import hashlib
import hmac
import json
import os
import subprocess
import time
import urllib.error
import urllib.request

from ansible.module_utils.basic import AnsibleModule

REMEMBERED = "/var/lib/socle/identity.json"
INTERFACES = ("public", "internal", "admin")
PROJECT = "service"
UNAUTHORIZED, SERVER_ERROR = 401, 500
# A stranger who guesses passwords must not be able to lock out a service of the cloud.
OPTIONS = {"ignore_lockout_failure_attempts": True}


class RefusedError(Exception):
    """Keystone answered with an error."""

    def __init__(self, method, path, code, text):
        super().__init__(f"{method} {path}: {code} {text}")
        self.code = code


class Keystone:
    """Keystone's API v3 with a token, https://docs.openstack.org/api-ref/identity/v3/."""

    def __init__(self, url, timeout=60):
        self.url, self.timeout, self.token = url.rstrip("/") + "/v3", timeout, None

    def call(self, method, path, body=None, token=True):
        """Headers and decoded answer. Raises RefusedError."""
        request = urllib.request.Request(self.url + path, method=method)  # noqa: S310
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("X-Auth-Token", self.token)
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, data, timeout=self.timeout) as answer:  # noqa: S310
                text = answer.read()
                return answer.headers, (json.loads(text) if text else {})
        except urllib.error.HTTPError as error:
            raise RefusedError(
                method, path, error.code, error.read()[:300].decode(errors="replace")
            ) from error

    def login(self, name, password, scope=None):
        """A token for an account of the domain `default`."""
        user = {"name": name, "domain": {"id": "default"}, "password": password}
        auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
        auth["scope"] = scope or "unscoped"
        headers, _body = self.call("POST", "/auth/tokens", {"auth": auth}, token=False)
        return headers["X-Subject-Token"]

    def get(self, path):
        return self.call("GET", path)[1]


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

    def project(self):
        """Id of the project of services."""
        found = self.by_name("project", "?domain_id=default").get(PROJECT)
        if found:
            return found["id"]
        body = {"project": {"name": PROJECT, "domain_id": "default", "description": "Accounts of services"}}
        return self.change("project " + PROJECT, "POST", "/projects", body).get("project", {}).get("id")

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

    def accounts(self, wanted, project, admin, remembered):
        """Accounts with their passwords and roles; returns the digests to remember."""
        users = self.by_name("user", "?domain_id=default")
        roles = self.by_name("role")
        digests = {}
        for account in wanted:
            name, password = account["name"], account["password"]
            identifier = self.account(account, users.get(name), remembered.get(name), project)
            same = known(remembered.get(name), identifier, password)
            digests[name] = remembered[name] if same else digest(identifier, password)
            self.roles(account, identifier, project, roles)
        self.exempt(users[admin])
        return digests

    def remove(self, names):
        """Accounts that a rotation has retired."""
        users = self.by_name("user", "?domain_id=default")
        for name in names:
            if name in users:
                self.change("no user " + name, "DELETE", "/users/" + users[name]["id"])

    def account(self, account, found, remembered, project):
        name, password = account["name"], account["password"]
        if found is None:
            body = {"name": name, "domain_id": "default", "password": password, "options": OPTIONS}
            body.update(default_project_id=project, description="Account of a service")
            return self.change("user " + name, "POST", "/users", {"user": body}).get("user", {}).get("id")
        if not found["enabled"]:
            body = {"user": {"enabled": True}}
            self.change(f"user {name} enabled", "PATCH", "/users/" + found["id"], body)
        self.exempt(found)
        if not known(remembered, found["id"], password) and not self.accepts(name, password):
            body = {"user": {"password": password}}
            self.change("password of user " + name, "PATCH", "/users/" + found["id"], body)
        return found["id"]

    def exempt(self, user):
        if not user.get("options", {}).get("ignore_lockout_failure_attempts"):
            body = {"user": {"options": OPTIONS}}
            line = f"user {user['name']} is never locked out"
            self.change(line, "PATCH", "/users/" + user["id"], body)

    def accepts(self, name, password):
        try:
            self.keystone.login(name, password)
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
            path = f"/projects/{project}/users/{user}/roles/{roles[name]['id']}"
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
    """Create the domain `default`, the account `admin`, the roles; set the password of `admin`."""
    environment = dict(os.environ, OS_BOOTSTRAP_PASSWORD=password, OS_BOOTSTRAP_REGION_ID=region)
    command = ["runuser", "-u", "keystone", "--", "keystone-manage", "bootstrap"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = done.stderr.strip()[-500:].replace(password, "***")
        raise RuntimeError("keystone-manage bootstrap: " + reason)


def login(keystone, password, patience=30):
    """True when `admin` is let in; waits while Keystone does not answer yet."""
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    deadline = time.monotonic() + patience
    while True:
        try:
            keystone.token = keystone.login("admin", password, scope)
        except RefusedError as refusal:
            if refusal.code == UNAUTHORIZED:
                return False
            if refusal.code < SERVER_ERROR or time.monotonic() > deadline:
                raise
        except (urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{keystone.url}: no answer: {error}") from error
        else:
            return True
        time.sleep(0.5)


def ensure(module, keystone):
    """All of it; the lines of what changed."""
    wanted = module.params
    changes = []
    if not login(keystone, wanted["password"], 2 if module.check_mode else 30):
        changes.append("admin, by keystone-manage bootstrap")
        if module.check_mode:
            return changes
        bootstrap(wanted["password"], wanted["region"])
        if not login(keystone, wanted["password"]):
            raise RuntimeError("admin cannot log in with the password that bootstrap has just set")
    state = Ensure(keystone, module.check_mode)
    state.region(wanted["region"])
    project = state.project()
    state.services(wanted["services"], wanted["region"])
    remembered = recall()
    digests = state.accounts(wanted["accounts"], project, "admin", remembered)
    if wanted["former"]:
        state.remove(wanted["former"])
    if not module.check_mode and digests != remembered:
        remember(digests)
    return changes + state.changes


def main():
    text = {"type": "str", "required": True}
    secret = dict(text, no_log=True)
    account = {"name": text, "password": secret}
    account["roles"] = {"type": "list", "elements": "str", "required": True}
    service = {"name": text, "type": text, "description": {"type": "str", "default": ""}}
    service.update(dict.fromkeys(INTERFACES, text))
    module = AnsibleModule(
        argument_spec={
            "url": text,
            "password": secret,
            "region": text,
            "accounts": {"type": "list", "elements": "dict", "default": [], "options": account},
            "former": {"type": "list", "elements": "str", "default": []},
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
