"""Guest images: built by the kit or fetched by URL and SHA-256, ready to be uploaded to Glance."""

from socle.images.files import ImageFiles, image_files

__all__ = ["ImageFiles", "image_files"]
