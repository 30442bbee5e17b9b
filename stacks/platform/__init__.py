"""What all tenants share: flavors, images, the provider network, the pool of prefixes, volume types."""

from stacks.platform.program import Platform, PlatformPlan, plan_of

__all__ = ["Platform", "PlatformPlan", "plan_of"]
