"""One tenant: its domain, projects, quotas, networks, rules, accounts and servers."""

from stacks.tenant.plan import TenantPlan, plan_of
from stacks.tenant.program import TenantStack

__all__ = ["TenantPlan", "TenantStack", "plan_of"]
