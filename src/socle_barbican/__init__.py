"""Barbican's plugin for encryption by OpenBao: one transit key for each tenant.

It runs on the controllers, under Debian's Python, inside Barbican; it needs nothing but the standard library
and Barbican itself. ``login`` keeps the login to OpenBao, ``transit`` speaks to it, ``plugin`` is what
Barbican loads.
"""
