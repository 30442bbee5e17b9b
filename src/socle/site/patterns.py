"""The forms that names and texts of site files must have, and what they are called in an error."""

from __future__ import annotations

from typing import Final

SLUG: Final = r"^[a-z0-9][a-z0-9.-]{0,62}$"
HOST_NAME: Final = r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$"
FQDN: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$"
EMAIL: Final = r"^[^@\s]{1,64}@[a-z0-9.-]+\.[a-z]{2,}$"
SHA256: Final = r"^[0-9a-f]{64}$"
URL: Final = r"^https?://[^\s]+$"
DAY_TIME: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
COUNTRY: Final = "^[A-Z]{2}$"

WORDS: Final = {
    SLUG: "lower-case letters, digits, dots and hyphens, 63 at most",
    HOST_NAME: "a host name: lower-case letters, digits and hyphens, a letter first, 2 to 32 in all",
    FQDN: "a domain name of at least two parts, in lower-case letters",
    EMAIL: "an e-mail address, its domain in lower-case letters",
    SHA256: "64 hexadecimal digits (0-9, a-f)",
    URL: "an address that begins with https:// or http://",
    DAY_TIME: "a time of the day, from 00:00 to 23:59",
    COUNTRY: "two capital letters",
}
