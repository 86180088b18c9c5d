"""The one private name of SQLAlchemy that this code touches; `test_db.py` fails when it goes.

What concerns FastStream and nats-py is in `broker/upstream.py`.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Mapper


def write_what_is_referred_to_first() -> None:
    """Has new rows written in the order of their tables' foreign keys, wherever a class is moved.

    Without a relationship between two classes, SQLAlchemy goes by their names (its manual, "Unit
    of Work"; `SaveUpdateAll` in `orm/unitofwork.py`), and services here declare no relationships.
    """
    if not event.contains(Mapper, "mapper_configured", _sort):
        event.listen(Mapper, "mapper_configured", _sort)


def _sort(mapper: Mapper[Any], _: type) -> None:
    mapper._sort_key = f"{_depth(mapper.local_table):02} {mapper._sort_key}"


def _depth(table: Any) -> int:
    """How many foreign keys lie between a table and one that refers to none."""
    targets = {key.target_fullname.rpartition(".")[0] for key in table.foreign_keys}
    others = [table.metadata.tables[name] for name in targets if name in table.metadata.tables]
    return max((_depth(other) + 1 for other in others if other is not table), default=0)
