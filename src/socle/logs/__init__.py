"""The central log store: what nodes upload, how it is kept, sealed, verified and read.

The modules ``export``, ``places``, ``store``, ``receiver``, ``chain``, ``sealing``, ``events`` and ``node``
also stand on the node that keeps the store, which has the standard library of Python only.
"""
