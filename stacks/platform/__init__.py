"""What all tenants share: flavors, images, the provider network, the pool of prefixes, volume types."""

from socle.site.settings import VOLUME_TYPE
from stacks.platform.program import Platform, PlatformPlan, plan_of

__all__ = ["VOLUME_TYPE", "Platform", "PlatformPlan", "plan_of"]
