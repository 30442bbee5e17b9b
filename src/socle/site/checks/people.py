"""People: custodians of the unseal shares, and who may not be whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from socle.site.document import Fault
from socle.site.logins import LONGEST, refused
from socle.site.messages import suggestion
from socle.site.parts import Part
from socle.site.people import People, Person
from socle.site.settings import Settings


def custodians_are_people(people: Part[People], settings: Part[Settings]) -> Iterator[Fault]:
    """A custodian is a person of the file, once, with the role and, outside a lab, a PGP key."""
    key_needed = settings.value.openbao.custody == "custodians"
    seen: set[str] = set()
    for index, login in enumerate(people.value.custodians):
        person = people.value.people.get(login)
        if person is None:
            yield people.fault(
                "custodians",
                index,
                what=f"the custodian `{login}` is nobody of `people`",
                expected="a login of `people`",
                write=suggestion(login, list(people.value.people))
                or "describe the person, or delete the line",
            )
        elif login in seen:
            yield people.fault(
                "custodians",
                index,
                what=f"`{login}` is a custodian twice",
                expected="one share for each person",
                write="name another person",
            )
        else:
            yield from _fit_to_hold(people, index, login, person, key_needed=key_needed)
        seen.add(login)


def _fit_to_hold(
    people: Part[People], index: int, login: str, person: Person, *, key_needed: bool
) -> Iterator[Fault]:
    if key_needed and person.pgp_key is None:
        yield people.fault(
            "custodians",
            index,
            what=f"the custodian `{login}` has no `pgp_key`",
            expected="a PGP key that the share is encrypted to",
            write=f"write `pgp_key: |` and the armoured key at `{login}`",
        )
    if "custodian" not in person.roles:
        yield people.fault(
            "people",
            login,
            "roles",
            what=f"`{login}` holds a share without the role",
            expected="`custodian` among the roles",
            write="add `custodian`",
        )


def shares_have_custodians(people: Part[People], settings: Part[Settings]) -> Iterator[Fault]:
    """One custodian for each share."""
    openbao, count = settings.value.openbao, len(people.value.custodians)
    if count != openbao.shares:
        yield people.fault(
            "custodians",
            what=f"{count} custodian(s) for {openbao.shares} unseal shares",
            expected=f"{openbao.shares}, as `openbao: shares` of site.yml says",
            write="name one person for each share",
        )


def keys_are_personal(people: Part[People]) -> Iterator[Fault]:
    """No key is shared by two people."""
    yield from _shared(people, "ssh_keys", lambda person: [" ".join(k.split()[:2]) for k in person.ssh_keys])
    yield from _shared(people, "pgp_key", lambda person: [_packets(person.pgp_key)] if person.pgp_key else [])


def _packets(armoured: str) -> str:
    """An armoured key without headers and checksum, of which the same key may have others (RFC 4880 6.2)."""
    lines = [line.strip() for line in armoured.strip().splitlines()[1:-1]]
    return "".join(line for line in lines if ":" not in line and not line.startswith("="))


def _shared(people: Part[People], field: str, keys: Callable[[Person], list[str]]) -> Iterator[Fault]:
    owners: dict[str, str] = {}
    for login, person in people.value.people.items():
        for key in keys(person):
            owner = owners.setdefault(key, login)
            if owner != login:
                yield people.fault(
                    "people",
                    login,
                    field,
                    what=f"`{login}` has the same `{field}` as `{owner}`",
                    expected="a key for each person",
                    write="ask the person for a key of their own",
                )


def duties_are_separate(people: Part[People]) -> Iterator[Fault]:
    """I10: who holds keys runs neither machines nor the network; who audits does none of that."""
    apart = (
        ("crypto-officer", "network-operator"),
        ("crypto-officer", "operator"),
        ("auditor", "operator"),
        ("auditor", "network-operator"),
        ("auditor", "crypto-officer"),
    )
    for login, person in people.value.people.items():
        for one, other in apart:
            if one in person.roles and other in person.roles:
                yield people.fault(
                    "people",
                    login,
                    "roles",
                    what=f"`{login}` is {one} and {other}",
                    expected="two people",
                    write="take one role away",
                )


def logins_are_of_people(people: Part[People], settings: Part[Settings]) -> Iterator[Fault]:
    """A login is a person's own: never root's, the deploying account's, a machine's or a program's."""
    for login in people.value.people:
        reason = refused(login, settings.value.deploy_user)
        if reason:
            yield people.fault(
                "people",
                login,
                what=f"the login `{login}` {reason}",
                expected=f"a name that only this person has, with a letter, of {LONGEST} characters at most",
                write="write for example `given.family`",
            )


def leavers_are_gone(people: Part[People]) -> Iterator[Fault]:
    """Who left works for the site no more: nothing is made for them."""
    for login in people.value.leavers:
        if login in people.value.people:
            yield people.fault(
                "leavers",
                login,
                what=f"`{login}` has left and is in `people`",
                expected="one of the two",
                write="delete the person, or the leaver",
            )


CHECKS = (
    custodians_are_people,
    shares_have_custodians,
    keys_are_personal,
    duties_are_separate,
    logins_are_of_people,
    leavers_are_gone,
)
