"""A whole site on one machine: every host a systemd-nspawn container, every zone a bridge."""

from socle.lab.lab import Lab, NodeStatus
from socle.lab.plan import LabPlan

__all__ = ["Lab", "LabPlan", "NodeStatus"]
