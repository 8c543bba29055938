"""Roles and scopes as data: what a role may do. A route names the one scope it needs; nothing else decides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final


class Scope(StrEnum):
    """What somebody may do. Each stands for itself: who manages does not thereby read."""

    READ = "read"
    OPERATE = "operate"
    ENGINEER = "engineer"
    PLAN = "plan"
    APPROVE = "approve"
    MANAGE = "manage"
    ADMINISTER = "administer"
    AUDIT = "audit"


MEANING: Final[Mapping[Scope, str]] = {
    Scope.READ: "see equipment, readings, alarms, advice and work",
    Scope.OPERATE: "work alarms: acknowledge, shelve, take out of service",
    Scope.ENGINEER: "judge advice, change what is watched, look back",
    Scope.PLAN: "plan work, stock and the calendar",
    Scope.APPROVE: "approve work and what it costs",
    Scope.MANAGE: "register equipment and devices, grant others a view",
    Scope.ADMINISTER: "keys, users, issuers, where notifications go",
    Scope.AUDIT: "read who did what",
}


class Role(StrEnum):
    """Who somebody is to an organisation."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ENGINEER = "engineer"
    PLANNER = "planner"
    APPROVER = "approver"
    ADMIN = "admin"
    AUDITOR = "auditor"


ROLES: Final[Mapping[Role, frozenset[Scope]]] = {
    Role.VIEWER: frozenset({Scope.READ}),
    Role.OPERATOR: frozenset({Scope.READ, Scope.OPERATE}),
    Role.ENGINEER: frozenset({Scope.READ, Scope.OPERATE, Scope.ENGINEER}),
    Role.PLANNER: frozenset({Scope.READ, Scope.PLAN}),
    Role.APPROVER: frozenset({Scope.READ, Scope.APPROVE}),
    Role.AUDITOR: frozenset({Scope.READ, Scope.AUDIT}),
    Role.ADMIN: frozenset(Scope),
}
"""Also rows of servitize.role_scope; a test holds the two equal."""


def scopes_of(role: str) -> frozenset[str]:
    """Scopes of a role by name; none for a name that is no role.

    >>> sorted(scopes_of("planner"))
    ['plan', 'read']
    """
    try:
        return frozenset(scope.value for scope in ROLES[Role(role)])
    except ValueError:
        return frozenset()


def roles_with(scope: Scope) -> list[str]:
    """Names of the roles that may do it, in the order of :class:`Role`."""
    return [role.value for role in Role if scope in ROLES[role]]


def least_role(scopes: Iterable[str]) -> Role:
    """The role with the fewest scopes that has all of these; admin where only all together do.

    >>> least_role(["read", "operate"]).value
    'operator'
    """
    wanted = set(scopes)
    fitting = [role for role in Role if wanted <= {scope.value for scope in ROLES[role]}]
    return min(fitting, key=lambda role: len(ROLES[role])) if fitting else Role.ADMIN
