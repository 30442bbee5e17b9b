"""The ``socle`` command."""

from socle.cli.app import main

__all__ = ["main"]
