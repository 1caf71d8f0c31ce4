#!/usr/bin/env python3
"""Keeps rows with sqlalchemy in a file."""
import sys

from sqlalchemy import Integer, String, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "rows"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(20), unique=True)


def use():
    engine = create_engine("sqlite:///rows.db", echo=False)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Row(name="a"), Row(name="b")])
        session.commit()
        print([(row.id, row.name) for row in session.scalars(select(Row).order_by(Row.name.desc()))])
        session.add(Row(name="a"))
        try:
            session.commit()
        except Exception as fault:
            print(type(fault).__name__, str(fault).splitlines()[0])
    left_open = Session(engine)
    left_open.add(Row(name="never committed"))
    left_open.flush()
    globals()["left_open"] = left_open


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
