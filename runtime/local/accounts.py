"""Which ordinary account local servers run as when the caller is root, and what that account can reach.

Nothing here needs root; as an ordinary user there is nothing to drop and :func:`service_account` is None.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.local.errors import DataDirectoryError


@dataclass(frozen=True)
class Account:
    """An existing system user to run a server as; its supplementary groups are never taken along."""

    name: str
    uid: int
    gid: int


def service_account(environ: Mapping[str, str] = os.environ) -> Account | None:
    """The account to drop to, or None when the caller is an ordinary user already.

    Order: ``SERVITIZE_USER``, a user named ``servitize``, ``nobody``. No user is ever created, and root is refused.
    """
    if os.geteuid() != 0:
        return None
    wanted = environ.get("SERVITIZE_USER")
    for name in (wanted,) if wanted else ("servitize", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            raise DataDirectoryError(
                f"SERVITIZE_USER is {name!r}, which is root; PostgreSQL refuses to run as root",
                hint="name an ordinary user in SERVITIZE_USER, or leave it out to use 'nobody'",
            )
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise DataDirectoryError(
        f"there is no user {wanted!r} on this machine"
        if wanted
        else "there is neither a user 'servitize' nor 'nobody' on this machine",
        hint="make an ordinary user (useradd --system servitize) or name one in SERVITIZE_USER",
    )


def group_name(account: Account) -> str:
    """Name of the account's primary group, its number as text where the group has no name."""
    try:
        return grp.getgrgid(account.gid).gr_name
    except KeyError:
        return str(account.gid)


def first_unreachable(path: Path, account: Account | None) -> Path | None:
    """The first directory on the way to ``path`` (or ``path`` itself) that ``account`` may not enter or read.

    None when all are open to it. Judged by owner, primary group and mode bits; access lists are not looked at.
    Parts that do not exist yet are left out. ``account`` None stands for the caller, asked of the kernel.
    """
    path = path.resolve()
    for part in (*reversed(path.parents), path):
        try:
            status = part.stat()
        except FileNotFoundError:
            return None
        except PermissionError:
            return part
        is_directory = stat.S_ISDIR(status.st_mode)
        wanted = 1 if is_directory else 4
        if account is None:
            if not os.access(part, os.X_OK if is_directory else os.R_OK):
                return part
            continue
        if status.st_uid == account.uid:
            shift = 6
        elif status.st_gid == account.gid:
            shift = 3
        else:
            shift = 0
        if not (status.st_mode >> shift) & wanted:
            return part
    return None
