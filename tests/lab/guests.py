"""How tests start guests: as tenants do, from volumes."""

from __future__ import annotations

from typing import Any


def starts_from(image: Any) -> list[dict[str, Any]]:
    """A block device mapping: Nova makes a volume of 1 GiB from the image, and deletes it with the server."""
    return [
        {
            "uuid": image.id,
            "source_type": "image",
            "destination_type": "volume",
            "volume_size": 1,
            "boot_index": 0,
            "delete_on_termination": True,
        }
    ]
