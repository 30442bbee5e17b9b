"""Active probes: the part of the compliance suite that acts, on canaries of its own and on nothing else.

A probe tries what a control forbids (a login after too many failures, a token that was revoked) and tells
what answered, as facts that the same rules judge. What it makes is written down before it is made, so that
the next run removes what a killed one left.
"""

from socle.audit.probe.model import Probe
from socle.audit.probe.running import PROBES, chosen, clean, run, with_probes

__all__ = ["PROBES", "Probe", "chosen", "clean", "run", "with_probes"]
