"""One tenant: its domain, projects, quotas, networks, rules, accounts and servers."""
