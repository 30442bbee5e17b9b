"""``socle plan``: what a deployment would change."""
