"""The schedules and what became of their runs, in a database of SQLite.

A run is written down, and its schedule moved on to its next moment, before anything is sent, in one transaction that
keeps other processes out. Whoever dies after that has at worst not sent a prompt; nobody sends it twice.
"""

import contextlib
import datetime
import os
import pathlib

import sqlalchemy as sa
from sqlalchemy import orm

import timing
from failure import Failure

#: Seconds that a transaction waits for that of another process.
BUSY = 30
MAX_ACTIVE = 10000
#: Runs that are kept of each schedule.
MAX_RUNS = 50
#: How often a prompt is tried that certainly did not arrive, and the seconds before each further time.
PAUSES = (30, 120, 600, 1800)
#: Longer than any request to Letta takes: who has not said by then how it ended has died.
LOST_AFTER = datetime.timedelta(minutes=10)


class Moment(sa.TypeDecorator):
    """A moment in UTC. SQLite knows no zones, so the column has none, and everything outside it has."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return value and value.astimezone(timing.UTC).replace(tzinfo=None)

    def process_result_value(self, value, dialect):
        return value and value.replace(tzinfo=timing.UTC)


class Base(orm.DeclarativeBase):
    pass


class Schedule(Base):
    __tablename__ = "schedules"

    id = sa.Column(sa.Integer, primary_key=True)
    agent_id = sa.Column(sa.String, nullable=False, index=True)
    prompt = sa.Column(sa.Text, nullable=False)
    #: `time`, `cron` or `every`.
    kind = sa.Column(sa.String, nullable=False)
    expression = sa.Column(sa.String, nullable=False)
    #: Of cron: the name of the zone, empty for the machine's.
    timezone = sa.Column(sa.String, nullable=False)
    #: Of every: the first moment.
    start_at = sa.Column(Moment, nullable=False)
    created_at = sa.Column(Moment, nullable=False)
    max_repetitions = sa.Column(sa.Integer)
    #: How often it was due.
    repetitions = sa.Column(sa.Integer, nullable=False, default=0)
    #: `active`, `done` or `cancelled`.
    state = sa.Column(sa.String, nullable=False, index=True)
    #: When it is due; nothing unless it is active.
    next_run = sa.Column(Moment, index=True)

    def after(self, moment):
        """When it is due for the first time after a moment."""
        if self.kind == "every":
            return timing.next_every(timing.seconds(self.expression), self.start_at, moment)
        if self.kind == "cron":
            return timing.next_cron(self.expression, moment, timing.zone(self.timezone))
        return None


class Run(Base):
    __tablename__ = "runs"
    # No moment of a schedule has two runs, whatever goes wrong.
    __table_args__ = (sa.UniqueConstraint("schedule_id", "due_at"),)

    id = sa.Column(sa.Integer, primary_key=True)
    schedule_id = sa.Column(sa.ForeignKey("schedules.id", ondelete="CASCADE"), nullable=False, index=True)
    due_at = sa.Column(Moment, nullable=False)
    claimed_at = sa.Column(Moment, nullable=False)
    tries = sa.Column(sa.Integer, nullable=False, default=1)
    #: `sending`, `sent`, `failed`, `lost` (nobody knows whether it arrived), or `waiting` for its next try.
    state = sa.Column(sa.String, nullable=False, index=True)
    try_at = sa.Column(Moment)
    detail = sa.Column(sa.String, nullable=False, default="")


def default_path():
    """Where the database is: as PROMPTYOSELF_DB says, else where programs keep their state."""
    named = os.environ.get("PROMPTYOSELF_DB")
    if named:
        return pathlib.Path(named).expanduser()
    # Under systemd the first of the service's own directories.
    state = os.environ.get("STATE_DIRECTORY", "").split(":")[0] or os.environ.get("XDG_STATE_HOME")
    home = pathlib.Path(state) if state else pathlib.Path.home() / ".local" / "state"
    return home / "promptyoself" / "promptyoself.db"


class Store:
    """The database. `now` says what time it is."""

    def __init__(self, path, now):
        self.path = pathlib.Path(path)
        self.now = now
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Prompts are nobody else's business.
            os.close(os.open(str(self.path), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        except OSError as fault:
            message = "the database {} cannot be used: {}; PROMPTYOSELF_DB names another".format(path, fault.strerror)
            raise Failure("no_database", message) from None
        # Opened for each transaction: another file may have taken its place, such as a backup.
        self.engine = sa.create_engine(
            "sqlite:///{}".format(self.path), connect_args={"timeout": BUSY}, poolclass=sa.pool.NullPool
        )
        sa.event.listen(self.engine, "connect", _set_up)
        sa.event.listen(self.engine, "begin", _begin)
        with self._faults():
            Base.metadata.create_all(self.engine)

    def close(self):
        self.engine.dispose()

    @contextlib.contextmanager
    def _faults(self):
        try:
            yield
        except sa.exc.DatabaseError as fault:
            message = "the database {} cannot be used: {}".format(self.path, fault.orig)
            raise Failure("no_database", message) from None

    @contextlib.contextmanager
    def session(self):
        """A transaction that no other process writes beside."""
        with self._faults(), orm.Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    def add(self, schedule):
        """Keeps a new schedule, and gives it its id and the moment at which it is due."""
        with self.session() as session:
            active = sa.select(sa.func.count()).select_from(Schedule).where(Schedule.state == "active")
            if session.scalar(active) >= MAX_ACTIVE:
                message = "there are {} schedules already; cancel some".format(MAX_ACTIVE)
                raise Failure("too_many", message)
            session.add(schedule)
            session.flush()
            return schedule

    def list(self, agent_id, everything):
        """The schedules of an agent, or of all where it is none, the next first; those that are over, if asked for."""
        wanted = sa.select(Schedule).order_by(Schedule.next_run.is_(None), Schedule.next_run, Schedule.id)
        if agent_id:
            wanted = wanted.where(Schedule.agent_id == agent_id)
        if not everything:
            wanted = wanted.where(Schedule.state == "active")
        with self.session() as session:
            found = list(session.scalars(wanted))
            return [(schedule, self._last(session, schedule)) for schedule in found]

    def _last(self, session, schedule):
        runs = sa.select(Run).where(Run.schedule_id == schedule.id).order_by(Run.due_at.desc()).limit(1)
        return session.scalars(runs).first()

    def cancel(self, number):
        """Ends a schedule; a try that waits is not made any more."""
        with self.session() as session:
            schedule = session.get(Schedule, number)
            if schedule is None:
                raise Failure("not_found", "there is no schedule {}; `list` shows those that there are".format(number))
            if schedule.state != "active" and not self._waits(session, schedule):
                raise Failure("not_active", "schedule {} is {} already".format(number, schedule.state))
            schedule.state, schedule.next_run = "cancelled", None
            waiting = sa.update(Run).where(Run.schedule_id == number, Run.state == "waiting")
            session.execute(waiting.values(state="failed", try_at=None, detail="cancelled before the next try"))
            return schedule

    def _waits(self, session, schedule):
        last = self._last(session, schedule)
        return last is not None and last.state == "waiting"

    def claim(self):
        """The next run that is due, which is this process's alone from here on; `None` when there is none.

        What was missed is due once: the schedule moves on to its first moment after now.
        """
        now = self.now()
        with self.session() as session:
            waiting = sa.select(Run).join(Schedule).where(Run.state == "waiting", Run.try_at <= now)
            waiting = waiting.where(Schedule.state != "cancelled").order_by(Run.try_at).limit(1)
            run = session.scalars(waiting).first()
            if run is not None:
                run.state, run.tries, run.claimed_at, run.try_at = "sending", run.tries + 1, now, None
                return run, session.get(Schedule, run.schedule_id)
            due = sa.select(Schedule).where(Schedule.state == "active", Schedule.next_run <= now)
            schedule = session.scalars(due.order_by(Schedule.next_run, Schedule.id).limit(1)).first()
            if schedule is None:
                return None
            run = Run(schedule_id=schedule.id, due_at=schedule.next_run, claimed_at=now, state="sending")
            session.add(run)
            schedule.repetitions += 1
            self._move_on(schedule, now)
            session.flush()
            self._forget(session, schedule)
            return run, schedule

    def _move_on(self, schedule, now):
        is_last = schedule.max_repetitions is not None and schedule.repetitions >= schedule.max_repetitions
        schedule.next_run = None if is_last else schedule.after(now)
        if schedule.next_run is None:
            schedule.state = "done"

    def _forget(self, session, schedule):
        old = sa.select(Run.id).where(Run.schedule_id == schedule.id).order_by(Run.due_at.desc()).offset(MAX_RUNS)
        session.execute(sa.delete(Run).where(Run.id.in_(old.scalar_subquery()), Run.state != "sending"))

    def sent(self, run, detail):
        self._end(run, "sent", detail)

    def failed(self, run, detail):
        self._end(run, "failed", detail)

    def lost(self, run, detail):
        self._end(run, "lost", detail)

    def not_delivered(self, run, detail):
        """It certainly did not arrive: it is tried again, some times. True if so."""
        with self.session() as session:
            is_over = session.get(Schedule, run.schedule_id).state == "cancelled"
        if is_over or run.tries > len(PAUSES):
            self.failed(run, detail)
            return False
        pause = datetime.timedelta(seconds=PAUSES[run.tries - 1])
        self._end(run, "waiting", detail, self.now() + pause)
        return True

    def _end(self, run, state, detail, try_at=None):
        with self.session() as session:
            # Only while it is still this try's: a cancel or a sweep may have come before.
            mine = sa.update(Run).where(Run.id == run.id, Run.state == "sending", Run.tries == run.tries)
            session.execute(mine.values(state=state, detail=detail[:500], try_at=try_at))

    def give_up_lost(self):
        """Says of runs whose process has died that nobody knows whether they arrived. They are not sent again."""
        with self.session() as session:
            lost = sa.update(Run).where(Run.state == "sending", Run.claimed_at < self.now() - LOST_AFTER)
            detail = "whoever sent it died meanwhile; it is not sent again"
            return session.execute(lost.values(state="lost", detail=detail)).rowcount

    def next_due(self):
        """When there is something to do next; `None` when there is nothing."""
        with self.session() as session:
            moments = [
                session.scalar(sa.select(sa.func.min(Schedule.next_run)).where(Schedule.state == "active")),
                session.scalar(sa.select(sa.func.min(Run.try_at)).where(Run.state == "waiting")),
            ]
        return min((found for found in moments if found is not None), default=None)


def _set_up(connection, _record):
    # The driver begins transactions late and in its own way: SQLAlchemy's events say when they begin.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # What is committed survives a crash of the machine.
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection):
    # At once for writing: two that only read at first could both believe that a run is theirs.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
