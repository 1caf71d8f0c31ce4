"""When a schedule is due: moments in UTC, computed from what people write and the time zone that they mean.

Knows no database and no clock: whoever asks says what time it is.
"""

import datetime
import re

from failure import Failure

UTC = datetime.timezone.utc
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
#: A year: whoever wants more seldom than that writes a cron expression.
MAX_EVERY = 366 * 86400
#: Around a change of the clocks, no moment is further away from where the wall clock puts it.
SHIFT = datetime.timedelta(hours=3)


def zone(name):
    """The time zone of this name; that of the machine for none."""
    if not name:
        return None
    try:
        from zoneinfo import ZoneInfo
    except ImportError:  # Python 3.8
        try:
            from backports.zoneinfo import ZoneInfo
        except ImportError:
            raise Failure("no_time_zones", "this Python knows no time zones; install backports.zoneinfo") from None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        message = "'{}' is not the name of a time zone, such as Europe/Berlin".format(name)
        raise Failure("bad_timezone", message) from None


def aware(moment, tz):
    """The moment in UTC that a wall clock in `tz` shows as `moment`: the first of two, and for one that the clocks
    leave out, the one that is as much later."""
    if moment.tzinfo is None:
        # What the clocks leave out comes back as another time of day when it is looked at from UTC.
        moment = moment.replace(tzinfo=tz) if tz else moment.astimezone()
    return moment.astimezone(UTC)


def moment(text, tz, option):
    """A moment as ISO 8601 writes it; without an offset, on the wall clock in `tz`."""
    written = text.strip()
    # Python before 3.11 does not read the letter.
    if written[-1:] in ("Z", "z"):
        written = written[:-1] + "+00:00"
    try:
        found = aware(datetime.datetime.fromisoformat(written), tz)
        # What every time zone can show.
        if 1 < found.year < 9999:
            return found
        raise ValueError(text)
    except (ValueError, OverflowError):
        message = "{} '{}' is no moment such as 2030-01-31T09:00 or 2030-01-31T09:00:00+02:00".format(option, text)
        raise Failure("bad_time", message) from None


def seconds(text):
    """How many seconds `every` means: 30s, 5m, 1h, 2d."""
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*([smhd])\s*", text)
    length = int(match.group(1)) * UNITS[match.group(2)] if match else 0
    if not 1 <= length <= MAX_EVERY:
        message = "every '{}' is no interval from 1s to 366d, such as 30s, 5m, 1h or 2d".format(text)
        raise Failure("bad_interval", message)
    return length


def check_cron(expression):
    """Refuses what is no cron expression of five fields, and one that never comes."""
    from croniter import croniter

    fields = expression.split()
    if len(fields) != 5 or not croniter.is_valid(expression):
        message = "cron '{}' is no expression of five fields (minute hour day month weekday), such as '0 9 * * 1-5'"
        raise Failure("bad_cron", message.format(expression))


def next_cron(expression, after, tz):
    """The first moment after `after`. A job at a time of day comes once a day, also on the days on which the clocks show
    a time twice or not at all; a job of every hour or every few minutes comes by the time that passes."""
    minute, hour = expression.split()[:2]
    passes = any(field.startswith("*") for field in (minute, hour))
    best = None
    for wall in _walls(expression, after - SHIFT, tz):
        moments = _moments(wall, tz, passes)
        best = min([best] * (best is not None) + [found for found in moments if found > after], default=None)
        if best is not None and aware(wall, tz) - SHIFT > best:
            return best
    return best


def _walls(expression, start, tz):
    """The times of day, without a zone, at which the wall clock fits the expression."""
    from croniter import croniter
    from croniter.croniter import CroniterBadDateError

    times = croniter(expression, start.astimezone(tz).replace(tzinfo=None))
    while True:
        try:
            yield times.get_next(datetime.datetime)
        except (CroniterBadDateError, OverflowError, ValueError):
            return


def _moments(wall, tz, passes):
    first = aware(wall, tz)
    if not passes:
        return [first]
    local = first.astimezone(tz).replace(tzinfo=None)
    if local != wall:
        return []  # the clocks leave it out
    second = aware(wall.replace(fold=1), tz)
    return [first] if second == first else [first, second]


def next_every(length, start, after):
    """The first moment after `after` of those that are `length` seconds apart, the first of which is `start`."""
    if start > after:
        return start
    passed = (after - start).total_seconds() // length
    return start + datetime.timedelta(seconds=(passed + 1) * length)
