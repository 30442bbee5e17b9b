"""Services on their hosts, in the session of ``hosts``: configuration, MariaDB, RabbitMQ, Ceph, OVN."""

from __future__ import annotations

from socle.audit.collect.collector import Collector

COLLECTORS: tuple[Collector, ...] = ()
