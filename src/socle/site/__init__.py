"""The site model: the files of ``inventories/<site>/``, read once, typed and checked."""

from socle.site.addresses import TenantSubnet
from socle.site.document import SiteErrors
from socle.site.hosts import Host
from socle.site.loader import load
from socle.site.model import Site
from socle.site.registration import register
from socle.site.tenant import Tenant

__all__ = ["Host", "Site", "SiteErrors", "Tenant", "TenantSubnet", "load", "register"]
