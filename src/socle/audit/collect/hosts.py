"""Hosts, one SSH session each: accounts, packages, SSH server, hardening, firewall, clock, logs."""

from __future__ import annotations

from socle.audit.collect.collector import Collector

COLLECTORS: tuple[Collector, ...] = ()
