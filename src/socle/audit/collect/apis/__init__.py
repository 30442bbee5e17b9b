"""OpenStack's APIs, read list by list: never one call for each thing where a list exists."""
