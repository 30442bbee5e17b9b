"""Pulumi programs: the platform that all tenants share, and one stack per tenant."""
