"""The database's schema, as numbered steps that are never changed once released.

A step is a plain function; its number is its place in `MIGRATIONS`. Each runs in a transaction together with the row
that says it ran, so a database is always at a whole version.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from trimwatt.errors import InputError

Migration = Callable[[sa.Connection], None]
_VERSION = sa.Table("trimwatt_schema", sa.MetaData(), sa.Column("version", sa.Integer, primary_key=True))


def m001_initial(connection: sa.Connection) -> None:
    """Studies, their trials and ledgers, and named values."""
    meta = sa.MetaData()
    whose = ("study", sa.Text)
    sa.Table("trimwatt_study", meta, sa.Column(*whose, primary_key=True), sa.Column("meta", sa.Text, nullable=False))
    sa.Table(
        "trimwatt_trial", meta,
        sa.Column("id", sa.Integer, primary_key=True), sa.Column(*whose, nullable=False),
        sa.Column("key", sa.Text, nullable=False), sa.Column("data", sa.Text, nullable=False),
        sa.UniqueConstraint("study", "key"),
    )  # fmt: skip
    sa.Table(
        "trimwatt_ledger", meta,
        sa.Column("id", sa.Integer, primary_key=True), sa.Column(*whose, nullable=False, index=True),
        sa.Column("data", sa.Text, nullable=False),
    )  # fmt: skip
    sa.Table(
        "trimwatt_value", meta,
        sa.Column(*whose, primary_key=True), sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )  # fmt: skip
    meta.create_all(connection)


MIGRATIONS: tuple[Migration, ...] = (m001_initial,)


def version(connection: sa.Connection) -> int:
    """How many steps the database has seen; 0 where it is new."""
    if not sa.inspect(connection).has_table(_VERSION.name):
        return 0
    return connection.scalar(sa.select(sa.func.max(_VERSION.c.version))) or 0


def migrate(engine: sa.Engine, steps: Sequence[Migration] = MIGRATIONS) -> None:
    """Bring the database up to `steps`; raises InputError where it is already beyond them."""
    with engine.begin() as connection:
        seen = version(connection)
    if seen > len(steps):
        raise InputError(
            f"the study's database has schema {seen}, this trimwatt knows up to {len(steps)}; "
            "upgrade trimwatt, or choose another output folder"
        )
    for number in range(seen + 1, len(steps) + 1):
        with engine.execution_options(trimwatt_writes=True).begin() as connection:
            # another process may have taken this step between our look and our lock
            if version(connection) < number:
                _VERSION.create(connection, checkfirst=True)
                steps[number - 1](connection)
                connection.execute(sa.insert(_VERSION).values(version=number))
