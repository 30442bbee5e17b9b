"""The map from Terraform names to Pulumi tokens of the plugin, made from the ``pulumi-openstack`` package.

The Python package knows the tokens but not the Terraform names behind them; the plugin knows the names.
Both follow one convention (``openstack_identity_project_v3`` is ``openstack:identity/project:Project``), so
the names are paired with the tokens here, and anything left over on either side is an error.

After a change of version ``python -m socle.tools.tokens`` writes ``tokens.json`` again; it reads the
Terraform names from Go's module cache, so download the plugin's modules first.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TypedDict

from socle.errors import SocleError
from socle.paths import project_root
from socle.tools.go import build_environment, find_go
from socle.tools.recipe import recipe

PLUGIN = "pulumi-resource-openstack"
TOKENS_FILE = f"tools/{PLUGIN}/tokens.json"
PROVIDER_MODULE = "github.com/terraform-provider-openstack/terraform-provider-openstack/v3"

# Pulumi's module for the first word of a Terraform name, where the two differ.
MODULES = {"db": "database", "fw": "firewall", "lb": "loadbalancer", "taas": "index", "workflow": "index"}

# Tokens that were given by hand upstream and follow no rule.
IRREGULAR_RESOURCES = {
    "openstack_bgpvpn_v2": "openstack:bgpvpn/v2:V2",
    "openstack_blockstorage_quotaset_v3": "openstack:blockstorage/quoteSetV3:QuoteSetV3",
    "openstack_objectstorage_object_v1": "openstack:objectstorage/containerObject:ContainerObject",
    "openstack_taas_tap_mirror_v2": "openstack:index/taasTapMirrorV2:TaasTapMirrorV2",
}
IRREGULAR_FUNCTIONS = {
    "openstack_dns_zone_v2": "openstack:dns/getDnsZone:getDnsZone",
    "openstack_lb_flavor_v2": "openstack:loadbalancer/getLbFlavorDeprecated:getLbFlavorDeprecated",
    "openstack_sharedfilesystem_availability_zones_v2": (
        "openstack:sharedfilesystem/getAvailbilityZones:getAvailbilityZones"
    ),
    "openstack_workflow_workflow_v2": "openstack:index/workflowWorkflowV2:WorkflowWorkflowV2",
}


class TokenMap(TypedDict):
    """What ``tokens.json`` holds; the keys of the four maps are Terraform names."""

    version: str
    resources: dict[str, str]
    legacyResources: dict[str, str]
    functions: dict[str, str]
    legacyFunctions: dict[str, str]


def generate(resources: Iterable[str], data_sources: Iterable[str]) -> TokenMap:
    """Pair the Terraform names of the provider with the tokens of the installed Python package.

    Args:
        resources: names of the provider's resources, ``openstack_identity_project_v3``.
        data_sources: names of its data sources.

    Raises:
        SocleError: a name without a token, or a token without a name.
    """
    current, legacy = _pair(resources, frozenset(package_classes()), IRREGULAR_RESOURCES)
    functions, legacy_functions = _pair(data_sources, package_functions(), IRREGULAR_FUNCTIONS)
    return {
        "version": importlib.metadata.version("pulumi-openstack"),
        "resources": current,
        "legacyResources": legacy,
        "functions": functions,
        "legacyFunctions": legacy_functions,
    }


@cache
def package_classes() -> dict[str, tuple[str, str]]:
    """Module and class of every resource that the package registers, by token."""
    file = _package_folder() / "__init__.py"
    registered = re.search(r'resource_modules="""(.*?)"""', file.read_text(), re.DOTALL)
    if registered is None:
        raise SocleError("pulumi_openstack registers no resource", where=str(file))
    return {
        token: (module["fqn"], class_name)
        for module in json.loads(registered[1])
        for token, class_name in module["classes"].items()
    }


@cache
def package_functions() -> frozenset[str]:
    """Tokens of all data sources that the package calls, ``openstack:identity/getProject:getProject``."""
    sources = package_sources().values()
    return frozenset(
        token for source in sources for token in re.findall(r"runtime\.invoke\('(openstack:[^']+)'", source)
    )


@cache
def package_sources() -> dict[Path, str]:
    """The text of every module of the package."""
    return {file: file.read_text() for file in sorted(_package_folder().rglob("*.py"))}


def provider_names() -> tuple[list[str], list[str]]:
    """Terraform names of the pinned provider's resources and data sources, from its source."""
    plugin = recipe(PLUGIN)
    go = find_go()
    folder = subprocess.run(
        [go.path, "list", "-m", "-f", "{{.Dir}}", PROVIDER_MODULE],
        cwd=plugin.folder,
        env=build_environment(go, plugin),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    source = Path(folder, "openstack", "provider.go").read_text()
    return _keys(source, "ResourcesMap"), _keys(source, "DataSourcesMap")


def render(tokens: TokenMap) -> str:
    """The text of ``tokens.json``."""
    return json.dumps(tokens, indent=2, sort_keys=True) + "\n"


def _keys(source: str, field: str) -> list[str]:
    """Keys of a map literal in the provider's source."""
    literal = re.search(rf"\b{field}:.*?\n\t\t}}", source, re.DOTALL)
    return re.findall(r'"(openstack_\w+)"', literal[0]) if literal else []


def _package_folder() -> Path:
    spec = importlib.util.find_spec("pulumi_openstack")
    if spec is None or spec.origin is None:
        raise SocleError("pulumi-openstack is not installed", write="make venv")
    return Path(spec.origin).parent


def _pair(
    names: Iterable[str], tokens: frozenset[str], irregular: dict[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The tokens of today and the legacy ones, by Terraform name."""
    legacy_tokens = {token for token in tokens if _is_legacy(token, irregular)}
    by_key = {_token_key(token): token for token in tokens - legacy_tokens}
    current = {name: irregular.get(name) or by_key.get(_name_key(name), "") for name in sorted(names)}
    legacy = {
        name: token for name in current for token in legacy_tokens if _squeeze(name) == _legacy_key(token)
    }
    _refuse_leftovers(current, tokens - set(legacy.values()))
    return current, legacy


def _refuse_leftovers(current: dict[str, str], tokens: frozenset[str]) -> None:
    without_token = sorted(name for name, token in current.items() if token not in tokens)
    without_name = sorted(tokens - set(current.values()))
    if without_token or without_name or len(set(current.values())) != len(current):
        raise SocleError(
            f"names without a token: {without_token}; tokens without a name: {without_name}",
            where=TOKENS_FILE,
            expected="one token for each Terraform name",
            write="add the irregular ones to src/socle/tools/tokens.py",
        )


def _is_legacy(token: str, irregular: dict[str, str]) -> bool:
    """A token of the ``index`` module whose type has moved to a module of its own."""
    return token.startswith("openstack:index/") and token not in irregular.values()


def _name_key(name: str) -> tuple[str, str]:
    """``openstack_identity_project_v3`` gives ``("identity", "project")``."""
    module, rest = name.removeprefix("openstack_").split("_", 1)
    return MODULES.get(module, module), _unversioned(rest.replace("_", ""))


def _token_key(token: str) -> tuple[str, str]:
    """``openstack:identity/getProject:getProject`` gives ``("identity", "project")``."""
    module, member = re.fullmatch(r"openstack:(\w+)/\w+:(\w+)", token).groups()  # type: ignore[union-attr]
    return module, _unversioned(member.removeprefix("get").lower())


def _legacy_key(token: str) -> str:
    return token.rsplit(":", 1)[1].removeprefix("get").lower()


def _squeeze(name: str) -> str:
    return name.removeprefix("openstack_").replace("_", "")


def _unversioned(name: str) -> str:
    return re.sub(r"v\d$", "", name)


if __name__ == "__main__":
    project_root().joinpath(TOKENS_FILE).write_text(render(generate(*provider_names())))
