"""The service catalogue: the one source of ports, packages, units, accounts, secrets and certificates."""

from socle.catalogue.model import Catalogue, Component, Front, Identity, Listener, load

__all__ = ["Catalogue", "Component", "Front", "Identity", "Listener", "load"]
