"""What all tenants share: flavors, images, the provider network, the pool of prefixes, volume types."""

from stacks.platform.program import VOLUME_TYPE, Platform, PlatformPlan, plan_of

__all__ = ["VOLUME_TYPE", "Platform", "PlatformPlan", "plan_of"]
