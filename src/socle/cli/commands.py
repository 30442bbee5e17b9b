"""All sub-commands; importing this module registers them."""

from socle.cli import deploying, labs, sites, tenancy, watching

__all__ = ["deploying", "labs", "sites", "tenancy", "watching"]
