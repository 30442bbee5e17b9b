"""Socle: a sovereign private-cloud kit whose conformity is tested, not declared."""

__version__ = "0.1.0"
