"""``socle status``: what the running cloud says of itself."""
