#!/usr/bin/env python3
"""Asks what time it is, and what it has used."""
import calendar
import datetime
import os
import resource
import sched
import sys
import time
import timeit


def case_process_time():
    print(0 <= time.process_time() < 5, 0 <= time.thread_time() < 5)


def case_grows():
    before = time.process_time(), time.perf_counter(), time.monotonic()
    sum(range(200000))
    after = time.process_time(), time.perf_counter(), time.monotonic()
    print([a > b for a, b in zip(after, before)])


def case_used():
    mine, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    print(mine.ru_utime + mine.ru_stime < 5, mine.ru_maxrss > 1000, mine.ru_maxrss < 200000)
    print(children.ru_utime, children.ru_stime, children.ru_maxrss, children.ru_minflt)


def case_children_times():
    print(os.times()[2:4])


def case_started():
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    with open("/proc/uptime") as file:
        age = float(file.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    print(-1 < age < 30)


def case_monotonic_of_system():
    print(abs(time.monotonic() - time.clock_gettime(time.CLOCK_MONOTONIC)) < 1)


def case_clocks():
    for name in ("monotonic", "perf_counter", "process_time", "time", "thread_time"):
        clock = time.get_clock_info(name)
        print(name, clock.implementation, clock.monotonic, clock.adjustable)


def case_today():
    print(abs(datetime.datetime.now().timestamp() - time.time()) < 5, abs(time.time() - os.stat("/proc/self").st_mtime) < 60)


def case_local():
    moment = datetime.datetime.fromtimestamp(86400 * 200).astimezone()
    print(moment, moment.tzinfo, time.localtime(86400 * 200), time.mktime((2001, 7, 1, 0, 0, 0, 0, 0, -1)))


def case_zone_changed():
    print(time.tzname)
    os.environ["TZ"] = "Asia/Tokyo"
    print(time.localtime(0).tm_hour, time.tzname)
    time.tzset()
    print(time.localtime(0).tm_hour, time.tzname)


def case_zones():
    try:
        import zoneinfo
    except ImportError:
        print("too old")
        return
    zone = zoneinfo.ZoneInfo("Europe/Rome")
    print(zoneinfo.TZPATH, datetime.datetime(2020, 7, 1, tzinfo=zone).isoformat(), zone is zoneinfo.ZoneInfo("Europe/Rome"))


def case_names():
    print(list(calendar.month_name), calendar.firstweekday(), time.strftime("%A %B %x %X %p %c", time.gmtime(0)))


def case_sleeps():
    begun = time.monotonic()
    time.sleep(0.02)
    print(0.02 <= time.monotonic() - begun < 10)


def case_scheduled():
    plan = sched.scheduler()
    plan.enter(0.01, 1, print, ("second",))
    plan.enter(0, 1, print, ("first",))
    plan.run()


def case_timed():
    print(timeit.timeit("pass", number=100) < 5, timeit.default_timer is time.perf_counter)


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
