"""What the running site says of itself: machines, services, end points, agents, seal, capacity."""

from socle.deploy.status.finding import Finding, Section
from socle.deploy.status.gather import gather

__all__ = ["Finding", "Section", "gather"]
