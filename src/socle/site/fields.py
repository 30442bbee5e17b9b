"""Field types that the models of the site files share: strict, so that a wrong type is an error, no guess."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    Strict,
    WithJsonSchema,
)

from socle.site import patterns
from socle.site.public_key import public_key
from socle.site.wrong import wrong

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Entry(BaseModel):
    """Base of every model of a site file: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True)


def _address(value: Any) -> Address:
    """IPv4: networks, firewalls and guests have nothing else."""
    if isinstance(value, IPv4Address):
        return value
    try:
        address = ip_address(value if isinstance(value, str) else "")
    except ValueError:
        raise wrong("not an IP address", "an IPv4 address", "192.0.2.10") from None
    if isinstance(address, IPv6Address):
        raise wrong("an IPv6 address, which the cloud does not serve", "an IPv4 address", "192.0.2.10")
    return address


def _of_machine(address: Address) -> Address:
    names = {
        "any address": address.is_unspecified,
        "an address of a group": address.is_multicast,
        "an address of every machine itself": address.is_loopback,
        "a reserved address": address.is_reserved,
    }
    kind = next((name for name, is_so in names.items() if is_so), None)
    if kind:
        raise wrong(f"{address} is {kind}", "the address of one machine", "192.0.2.10")
    return address


def _any_prefix(value: Any) -> Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    try:
        return ip_network(value if isinstance(value, str) else "")
    except ValueError as error:
        if "host bits" in str(error):
            right = str(ip_network(value, strict=False))
            raise wrong("host bits are set in the prefix", "the first address of the prefix", right) from None
        raise wrong("not a prefix", "address/length", "192.0.2.0/24") from None


def _prefix(value: Any) -> Network:
    prefix = _any_prefix(value)
    if isinstance(prefix, IPv6Network):
        raise wrong("an IPv6 prefix, which the cloud does not serve", "an IPv4 prefix", "192.0.2.0/24")
    return prefix


def _interface(value: Any) -> str:
    try:
        return ip_interface(value if isinstance(value, str) else "").with_prefixlen
    except ValueError:
        raise wrong("not an address with its length", "address/length", "2001:db8:1::1/127") from None


def _timezone(value: str) -> str:
    """A name that the system knows; on a machine that knows none, any."""
    if not _is_timezone(value) and _is_timezone("UTC"):
        raise wrong("no time zone has this name", "a time zone of the IANA", "Europe/Paris")
    return value


def _is_timezone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _date(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise wrong("not a date", "a day as year-month-day", "2027-01-31") from None


def _moment(value: Any) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise wrong("not a moment", "a date and time with its zone", "2027-01-31T08:00:00Z") from None
    if moment.tzinfo is None:
        raise wrong("a moment without time zone", "a date and time with its zone", "2027-01-31T08:00:00Z")
    return moment


SIREN_DIGITS = 9


def luhn(digits: str) -> bool:
    """Whether the last digit is the right check digit (ISO/IEC 7812-1, annex B), as for any SIREN."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > SIREN_DIGITS else value
    return total % 10 == 0


def _siren(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong("the SIREN is a number", "text in quotes", f'"{value}"'[:14])
    if not isinstance(value, str) or len(value) != SIREN_DIGITS or not (value.isascii() and value.isdigit()):
        raise wrong("not a SIREN", "nine digits in quotes", '"210000014"')
    if not luhn(value):
        last = next(d for d in "0123456789" if luhn(value[:-1] + d))
        raise wrong(
            f"the SIREN {value} is mistyped",
            f"a check digit of {last} after {value[:-1]}",
            "the SIREN as on the INSEE notice",
        )
    return value


def _person_name(value: str) -> str:
    if set(":\t") & set(value) or value.splitlines() != [value]:
        raise wrong(
            "a name that the system's list of accounts cannot hold", "one line, no colon", "Anne Martin"
        )
    return value


def _pgp_key(value: str) -> str:
    text = value.strip()
    if not (
        text.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
        and text.endswith("-----END PGP PUBLIC KEY BLOCK-----")
    ):
        raise wrong(
            "not a PGP public key", "an armoured public key block", "the output of gpg --export --armor"
        )
    return value


def folded(text: str) -> str:
    """Equal for names that people and programs take for one: Keystone compares without case."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _schema(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", **schema})


_AS_TEXT = PlainSerializer(str, return_type=str, when_used="json")

IPAddress = Annotated[Address, BeforeValidator(_address), _AS_TEXT, _schema(examples=["192.0.2.10"])]
MachineAddress = Annotated[IPAddress, AfterValidator(_of_machine)]
Prefix = Annotated[Network, BeforeValidator(_prefix), _AS_TEXT, _schema(examples=["192.0.2.0/24"])]
AnyPrefix = Annotated[Network, BeforeValidator(_any_prefix), _AS_TEXT, _schema(examples=["192.0.2.0/24"])]
Interface = Annotated[str, BeforeValidator(_interface), _schema(examples=["2001:db8:1::1/127"])]
Day = Annotated[date, BeforeValidator(_date), _schema(format="date")]
DayTime = Annotated[str, Field(pattern=patterns.DAY_TIME, examples=["04:20"])]
Moment = Annotated[datetime, BeforeValidator(_moment), _schema(format="date-time")]
Siren = Annotated[str, BeforeValidator(_siren), _schema(pattern="^[0-9]{9}$", examples=["210000014"])]
Int = Annotated[int, Strict()]
Count = Annotated[int, Strict(), Field(ge=0, le=10_000_000)]
Positive = Annotated[int, Strict(), Field(ge=1, le=10_000_000)]
Bool = Annotated[bool, Strict()]
Euros = Annotated[float, Field(ge=0, le=10_000_000, allow_inf_nan=False, strict=True)]
Ratio = Annotated[float, Field(gt=0, le=64, allow_inf_nan=False, strict=True)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False, strict=True)]
Port = Annotated[int, Strict(), Field(ge=1, le=65535)]
Vlan = Annotated[int, Strict(), Field(ge=1, le=4094)]
Mtu = Annotated[int, Strict(), Field(ge=1280, le=9216)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
PersonName = Annotated[Text, AfterValidator(_person_name)]
TimeZone = Annotated[Text, AfterValidator(_timezone)]
Slug = Annotated[str, Field(pattern=patterns.SLUG)]
HostName = Annotated[str, Field(pattern=patterns.HOST_NAME, examples=["cmp1"])]
Fqdn = Annotated[
    str,
    Field(
        pattern=patterns.FQDN,
        max_length=253,
        examples=["cloud.gip.example"],
    ),
]
Email = Annotated[str, Field(pattern=patterns.EMAIL, examples=["name@commune.example"])]
Sha256 = Annotated[str, Field(pattern=patterns.SHA256, examples=["64 hexadecimal digits"])]
Url = Annotated[str, Field(pattern=patterns.URL, examples=["https://deb.debian.org/debian"])]
SshKey = Annotated[str, Field(max_length=4096), AfterValidator(public_key)]
PgpKey = Annotated[str, Field(max_length=65536), AfterValidator(_pgp_key)]
