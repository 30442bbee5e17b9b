"""Many tenants: ``python benchmarks/tenants.py [--tenants 100] [--peer PYTHON]``. A deployed lab, root.

Makes the networks, projects, groups, quotas and rules of generated communes, without servers, with the
workers that ``socle deploy`` uses, then deletes them again. HAProxy counts the calls; the processor time of
the control plane's processes, divided by the cores, is what no client on this machine can be faster than.
With ``--peer``, the path of a Python that has ansible-core and the collection openstack.cloud, the same is
made for a few tenants by a loop of its modules.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import tempfile
import time
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import hvac
from measure import lab_site, report

from socle import catalogue, vault
from socle.catalogue.accounts import DOMAIN
from socle.cloud import connect
from socle.lab import Lab
from socle.paths import project_root, state_dir
from socle.site import Site
from socle.tenants import session_of
from socle.tenants.applying import platform_ids
from socle.tenants.job import Action, Job
from socle.tenants.workers import together
from stacks.tenant.plan import EnvironmentPlan, Segment, TenantPlan, domain_name, plan_of

MODEL = "210000014"
SPACE = IPv4Network("10.200.0.0/14")
PEER = project_root() / "benchmarks/peer"


def main() -> None:
    """Make them, compare, delete them, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=100)
    parser.add_argument("--peer", type=Path, help="a Python with ansible-core and openstack.cloud")
    parser.add_argument("--peer-tenants", type=int, default=2)
    given = parser.parse_args()
    site = lab_site()
    plans = [generated(site, number) for number in range(given.tenants)]
    with tempfile.TemporaryDirectory(prefix="socle-benchmark-") as folder:
        before, work = calls(site), processor_seconds(site)
        start = time.perf_counter()
        try:
            made = run(site, plans, Path(folder), "up")
            seconds = time.perf_counter() - start
            number, work = calls(site) - before, processor_seconds(site) - work
        finally:
            run(site, plans, Path(folder), "destroy")
            forget(site, plans)
    resources = sum(made)
    floor = work / (os.cpu_count() or 1)
    rows = [row("socle", len(plans), resources, seconds)]
    notes = [
        f"{number} calls of the APIs, {1000 * work / number:.0f} ms of processor time each",
        f"limit {floor:.0f} s, this time ÷ cores: {floor / seconds:.0%} of it is reached",
    ]
    if given.peer:
        theirs = [generated(site, given.tenants + n) for n in range(given.peer_tenants)]
        rows.append(peer(site, given.peer, theirs))
        each, other = (r["ms for each resource"] for r in rows)
        notes.append(f"{other / each:.1f} times as long with a loop of openstack.cloud modules")
    report("tenants", f"{len(plans)} tenants without servers", rows, notes)


def generated(site: Site, number: int) -> TenantPlan:
    """A commune like the lab's first one, under another name and with other prefixes."""
    siren = f"9{number:08d}"
    model = plan_of(site, MODEL)
    prefixes = list(SPACE.subnets(new_prefix=26))[number * 8 :]
    environments = (
        replace(e, servers=(), segments=tuple(map(moved, e.segments, prefixes))) for e in model.environments
    )
    return replace(
        model,
        siren=siren,
        domain=domain_name(siren),
        description=f"Benchmark ({siren})",
        managers=(f"manager@{siren}.example",),
        environments=tuple(environments),
    )


def moved(segment: Segment, prefix: IPv4Network) -> Segment:
    """The same segment at another place; its rules stay."""
    return replace(segment, prefix=str(prefix), gateway=str(prefix[1]))


def run(site: Site, plans: list[TenantPlan], folder: Path, action: Action) -> list[int]:
    """Run all their stacks; how many resources of each changed."""
    session = session_of(site)
    place, platform = vault.place_of(site, catalogue.load()), platform_ids(session)
    jobs = [Job(action, plan, platform, folder, place, session) for plan in plans]
    return [result.changed for result in together(jobs, print)]


def forget(site: Site, plans: list[TenantPlan]) -> None:
    """Remove the passwords that were made for them; a transit key can only be deleted by an officer."""
    environment = session_of(site).environment
    speaker = hvac.Client(
        url=environment["VAULT_ADDR"], token=environment["VAULT_TOKEN"], verify=environment["VAULT_CACERT"]
    )
    for plan in plans:
        for path in (plan.siren, *(f"{plan.siren}/{e.name}" for e in plan.environments)):
            speaker.secrets.kv.v2.delete_metadata_and_all_versions(f"tenants/{path}", mount_point="kv")


def calls(site: Site) -> int:
    """Requests that HAProxy has passed on so far."""
    script = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/haproxy/admin.sock'); "
        "s.sendall(b'show stat\\n'); print(''.join(iter(lambda: s.recv(65536).decode(), '')))"
    )
    controller = site.group("controllers")[0].name
    command = ["ssh", "-F", str(state_dir(site.name) / "ssh_config"), controller, "sudo", "python3", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=True)
    table = csv.DictReader(io.StringIO(done.stdout.lstrip("# ")))
    return sum(int(r["req_tot"]) for r in table if r["svname"] == "FRONTEND" and r["req_tot"])


def processor_seconds(site: Site) -> float:
    """Processor time that the living processes of the controllers have used so far."""
    lab = Lab.of(site)
    controllers = [lab.container(host.name) for host in site.group("controllers")]
    return sum(ticks(pid) for node in controllers for pid in node.processes()) / os.sysconf("SC_CLK_TCK")


def ticks(pid: int) -> int:
    """User and system time of a process in clock ticks, 0 when it has ended; proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(fields[11]) + int(fields[12])


def row(maker: str, tenants: int, resources: int, seconds: float) -> dict[str, Any]:
    """One line of the table."""
    return {
        "maker": maker,
        "tenants": tenants,
        "resources": resources,
        "seconds": seconds,
        "ms for each resource": 1000 * seconds / max(resources, 1),
    }


def peer(site: Site, python: Path, plans: list[TenantPlan]) -> dict[str, Any]:
    """The same for these tenants by openstack.cloud: one module execution for each resource."""
    play = [str(python.parent / "ansible-playbook"), "-i", "localhost,", str(PEER / "tenants.yml")]
    session = session_of(site)
    variables = {
        "tenants": [described(plan) for plan in plans],
        "provider": connect(site, catalogue.load()).network.find_network("provider").id,
    }
    environment = {
        **os.environ,
        "OS_AUTH_URL": session.auth_url,
        "OS_USERNAME": session.account,
        "OS_PASSWORD": session.password,
        "OS_PROJECT_NAME": DOMAIN,
        "OS_USER_DOMAIN_NAME": DOMAIN,
        "OS_PROJECT_DOMAIN_NAME": DOMAIN,
        "OS_REGION_NAME": session.region,
        "OS_CACERT": session.ca_file,
        "OS_INTERFACE": "public",
        "ANSIBLE_CONFIG": str(PEER / "ansible.cfg"),
        "ANSIBLE_PYTHON_INTERPRETER": str(python),
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(variables, file)
        file.flush()
        start = time.perf_counter()
        done = subprocess.run(
            [*play, "-e", f"@{file.name}"], env=environment, capture_output=True, text=True, check=False
        )
        seconds = time.perf_counter() - start
    for plan in plans:
        delete_domain(site, plan.domain)
    if done.returncode != 0:
        raise SystemExit(f"the peer's playbook failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return row("openstack.cloud", len(plans), done.stdout.count("changed: ["), seconds)


def delete_domain(site: Site, name: str) -> None:
    """Delete a domain with all that the peer made in it."""
    cloud = connect(site, catalogue.load())
    domain = next(iter(cloud.identity.domains(name=name)), None)
    if domain is None:
        return
    for project in cloud.identity.projects(domain_id=domain.id):
        for router in cloud.network.routers(project_id=project.id):
            for port in cloud.network.ports(device_id=router.id, device_owner="network:router_interface"):
                cloud.network.remove_interface_from_router(router, port_id=port.id)
            cloud.network.delete_router(router)
        for network in cloud.network.networks(project_id=project.id):
            cloud.network.delete_network(network)
        for group in cloud.network.security_groups(project_id=project.id):
            cloud.network.delete_security_group(group)
        cloud.identity.delete_project(project)
    cloud.identity.update_domain(domain, is_enabled=False)
    cloud.identity.delete_domain(domain)


def described(plan: TenantPlan) -> dict[str, Any]:
    """A tenant's plan as plain data for the peer's playbook."""
    return {
        "domain": plan.domain,
        "description": plan.description,
        "manager": plan.managers[0],
        "environments": [environment_of(plan, e) for e in plan.environments],
    }


def environment_of(plan: TenantPlan, environment: EnvironmentPlan) -> dict[str, Any]:
    """One project with what is in it."""
    quota = plan.quota
    return {
        "name": environment.name,
        "cores": quota.vcpu,
        "ram": quota.ram_gib * 1024,
        "gigabytes": quota.volume_gib,
        "segments": [
            {
                "name": s.name,
                "prefix": s.prefix,
                "gateway": s.gateway,
                "rules": [vars(rule) for rule in s.rules],
            }
            for s in environment.segments
        ],
    }


if __name__ == "__main__":
    main()
