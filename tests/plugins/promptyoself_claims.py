"""Claims about the plugin promptyoself: when schedules are due, that nothing is sent twice, and what is sent."""

import datetime
import json
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import unittest
from zoneinfo import ZoneInfo

import harness
from harness import LIMIT, PLUGINS, until
from letta_server import AGENT, KEY, LettaServer

PLUGIN = PLUGINS / "promptyoself"
sys.path.insert(0, str(PLUGIN))

import letta  # noqa: E402
import running  # noqa: E402
import store as stores  # noqa: E402
import timing  # noqa: E402

UTC = datetime.timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")
FORK = multiprocessing.get_context("fork")


def utc(*parts):
    return datetime.datetime(*parts, tzinfo=UTC)


class Due(unittest.TestCase):
    """When a schedule is due, in UTC."""

    def follow(self, expression, start, count, tz=BERLIN):
        moments = []
        for _ in range(count):
            start = timing.next_cron(expression, start, tz)
            moments.append(start.strftime("%d %H:%M"))
        return moments

    def test_a_time_of_day_comes_once_on_each_day(self):
        # The clocks leave out 02:30 on the 29th, and show it twice on the 25th.
        self.assertEqual(
            self.follow("30 2 * * *", utc(2026, 3, 28), 4), ["28 01:30", "29 01:30", "30 00:30", "31 00:30"]
        )
        self.assertEqual(
            self.follow("30 2 * * *", utc(2026, 10, 24), 4), ["24 00:30", "25 00:30", "26 01:30", "27 01:30"]
        )

    def test_an_interval_goes_by_the_time_that_passes(self):
        autumn = self.follow("*/30 * * * *", utc(2026, 10, 24, 23, 45), 6)
        self.assertEqual(autumn, ["25 00:00", "25 00:30", "25 01:00", "25 01:30", "25 02:00", "25 02:30"])
        spring = self.follow("15 * * * *", utc(2026, 3, 29, 0, 0), 3)
        self.assertEqual(spring, ["29 00:15", "29 01:15", "29 02:15"])

    def test_every_moment_is_after_the_one_before(self):
        for expression in ("*/7 * * * *", "5 */5 * * *", "0 0 29 2 *", "59 23 * * 0", "1,31 1-3 * * *"):
            for zone in ("Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"):
                before = utc(2026, 3, 28, 12)
                for _ in range(60):
                    after = timing.next_cron(expression, before, ZoneInfo(zone))
                    self.assertGreater(after, before, (expression, zone))
                    before = after

    def test_what_never_comes_is_not_due(self):
        self.assertIsNone(timing.next_cron("0 0 30 2 *", utc(2026, 1, 1), BERLIN))

    def test_moments_are_read_as_people_write_them(self):
        for text, expected in (
            ("2026-10-25T02:30", utc(2026, 10, 25, 0, 30)),
            ("2026-03-29T02:30", utc(2026, 3, 29, 1, 30)),
            ("2026-07-01", utc(2026, 6, 30, 22)),
            ("2026-07-01T00:00Z", utc(2026, 7, 1)),
            ("2026-07-01 00:00:00-03:30", utc(2026, 7, 1, 3, 30)),
        ):
            self.assertEqual(timing.moment(text, BERLIN, "time"), expected, text)
        for text in ("", "soon", "2026-13-01T00:00", "9999-12-31T23:59:59-12:00", "9999-12-31T23:30:00+00:00", "0001-01-01"):
            with self.assertRaises(timing.Failure, msg=text):
                timing.moment(text, BERLIN, "time")

    def test_intervals_keep_their_pace(self):
        start = utc(2026, 1, 1)
        self.assertEqual(timing.next_every(60, start, start), utc(2026, 1, 1, 0, 1))
        self.assertEqual(timing.next_every(60, start, utc(2026, 1, 1, 5, 0, 59)), utc(2026, 1, 1, 5, 1))
        self.assertEqual(timing.next_every(60, start, utc(2025, 1, 1)), start)
        for text in ("0s", "5", "5 weeks", "-1m", "1.5h", "400d", "٣s"):
            with self.assertRaises(timing.Failure, msg=text):
                timing.seconds(text)


class WithLetta(harness.Case):
    """A database, a clock that the test turns, and a server that is like Letta."""

    def setUp(self):
        super().setUp()
        self.time = utc(2026, 1, 1)
        self.letta = LettaServer()
        self.addCleanup(self.letta.close)
        self.addCleanup(lambda: self.assertEqual(self.letta.misfits, []))
        environment = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(environment)))
        os.environ.update(LETTA_BASE_URL=self.letta.url, LETTA_API_KEY=KEY)
        self.database = self.place / "state" / "prompts.db"
        self.store = self.open()

    def open(self):
        opened = stores.Store(self.database, lambda: self.time)
        self.addCleanup(opened.close)
        return opened

    def add(self, every="60s", prompt="p", **more):
        start = self.time + datetime.timedelta(seconds=timing.seconds(every))
        made = {"kind": "every", "expression": every, "timezone": "", "start_at": start, "next_run": start}
        made.update(agent_id=AGENT, prompt=prompt, created_at=self.time, repetitions=0, state="active")
        return self.store.add(stores.Schedule(**dict(made, **more)))

    def pass_time(self, **length):
        self.time += datetime.timedelta(**length)

    def run_due(self):
        return [outcome["state"] for outcome in running.run_due(self.store, letta.Letta)]

    def state(self, schedule):
        for found, last in self.store.list(None, True):
            if found.id == schedule.id:
                return found.state, found.repetitions, last and last.state


class Runs(WithLetta):
    def test_a_prompt_is_sent_at_its_moment_and_not_before(self):
        self.add(prompt="Good morning")
        self.pass_time(seconds=59)
        self.assertEqual(self.run_due(), [])
        self.pass_time(seconds=1)
        self.assertEqual(self.run_due(), ["sent"])
        self.assertEqual(self.run_due(), [])
        self.assertEqual(self.letta.prompts, [(AGENT, "Good morning")])

    def test_what_was_missed_is_sent_once(self):
        schedule = self.add()
        self.pass_time(minutes=10, seconds=5)
        self.assertEqual(self.run_due(), ["sent"])
        self.assertEqual(self.state(schedule), ("active", 1, "sent"))
        self.pass_time(seconds=54)
        self.assertEqual(self.run_due(), [])
        self.pass_time(seconds=1)
        self.assertEqual(self.run_due(), ["sent"])

    def test_repetitions_end(self):
        schedule = self.add(max_repetitions=2)
        for expected in (["sent"], ["sent"], []):
            self.pass_time(minutes=1)
            self.assertEqual(self.run_due(), expected)
        self.assertEqual(self.state(schedule), ("done", 2, "sent"))

    def test_once_is_once(self):
        schedule = self.add(kind="time", expression="2026-01-01T00:01Z")
        self.pass_time(days=1)
        self.assertEqual(self.run_due(), ["sent"])
        self.pass_time(days=400)
        self.assertEqual(self.run_due(), [])
        self.assertEqual(self.state(schedule), ("done", 1, "sent"))

    def test_what_did_not_arrive_is_tried_again(self):
        schedule = self.add(kind="time", expression="2026-01-01T00:01Z")
        port = self.letta.server_address[1]
        self.letta.close()
        self.pass_time(minutes=1)
        self.assertEqual(self.run_due(), ["waiting"])
        self.assertEqual(self.run_due(), [])
        again = LettaServer(port)
        self.addCleanup(again.close)
        self.pass_time(seconds=30)
        self.assertEqual(self.run_due(), ["sent"])
        self.assertEqual(len(again.prompts), 1)
        self.assertEqual(self.state(schedule), ("done", 1, "sent"))

    def test_tries_end(self):
        self.add(kind="time", expression="2026-01-01T00:01Z")
        self.letta.respond = 429
        states = []
        for _ in range(10):
            self.pass_time(hours=1)
            states += self.run_due()
        self.assertEqual(states, ["waiting"] * 4 + ["failed"])

    def test_what_may_have_arrived_is_not_sent_again(self):
        for respond in ("hang up", 500, 502, 503, 504):
            self.letta.respond, self.letta.prompts = respond, []
            schedule = self.add(kind="time", expression="soon")
            for expected in (["lost"], [], []):
                self.pass_time(hours=1)
                self.assertEqual(self.run_due(), expected, respond)
            self.assertEqual(len(self.letta.prompts), 1, respond)
            self.assertEqual(self.state(schedule), ("done", 1, "lost"))

    def test_what_is_refused_is_not_sent_again(self):
        self.letta.respond = 404
        schedule = self.add()
        self.pass_time(minutes=1)
        self.assertEqual(self.run_due(), ["failed"])
        self.assertEqual(self.state(schedule), ("active", 1, "failed"))

    def test_a_cancelled_schedule_sends_nothing_more(self):
        schedule = self.add()
        self.letta.respond = 429
        self.pass_time(minutes=1)
        self.assertEqual(self.run_due(), ["waiting"])
        self.store.cancel(schedule.id)
        self.pass_time(hours=2)
        self.assertEqual(self.run_due(), [])
        for number in (schedule.id, 99):
            with self.assertRaises(stores.Failure):
                self.store.cancel(number)

    def test_a_prompt_that_is_cancelled_while_it_is_sent_is_not_tried_again(self):
        schedule = self.add()
        self.pass_time(minutes=1)
        run, _ = self.store.claim()
        self.store.cancel(schedule.id)
        self.assertFalse(self.store.not_delivered(run, "Letta cannot be reached"))
        self.pass_time(hours=2)
        self.assertEqual(self.run_due(), [])

    def test_one_prompt_that_cannot_be_sent_keeps_no_other_back(self):
        self.add(agent_id="..", prompt="for nobody")
        self.add(prompt="for somebody")
        self.pass_time(minutes=1)
        self.assertEqual(self.run_due(), ["failed", "sent"])
        self.assertEqual([text for _, text in self.letta.prompts], ["for somebody"])

    def test_nothing_is_begun_after_the_end(self):
        for _ in range(3):
            self.add()
        self.pass_time(minutes=1)
        ended = []
        outcomes = running.run_due(self.store, letta.Letta, lambda: bool(ended), ended.append)
        self.assertEqual([outcome["state"] for outcome in outcomes], ["sent"])
        self.assertEqual(self.run_due(), ["sent", "sent"])

    def test_a_database_that_was_replaced_is_found(self):
        self.add(every="1s")
        self.time = datetime.datetime.now(UTC)
        copy = self.database.read_bytes()
        self.pass_time(minutes=1)
        self.assertEqual(self.run_due(), ["sent"])
        self.database.unlink()
        self.database.write_bytes(copy)
        self.assertEqual(self.run_due(), ["sent"])

    def test_nothing_is_claimed_without_letta(self):
        schedule = self.add()
        self.pass_time(minutes=1)
        del os.environ["LETTA_BASE_URL"], os.environ["LETTA_API_KEY"]
        with self.assertRaises(stores.Failure):
            self.run_due()
        self.assertEqual(self.state(schedule), ("active", 0, None))

    def test_the_history_is_bounded(self):
        schedule = self.add()
        for _ in range(stores.MAX_RUNS + 5):
            self.pass_time(minutes=1)
            self.run_due()
        with self.store.session() as session:
            runs = session.query(stores.Run).filter_by(schedule_id=schedule.id).count()
        self.assertLessEqual(runs, stores.MAX_RUNS + 1)


class Killed(WithLetta):
    """A process that dies at any point of its work. The next one sends what was not begun, and nothing twice."""

    def die_in(self, prepare):
        """Runs what is due in a child that `prepare` makes die somewhere."""
        self.store.engine.dispose()  # no connection may be shared with a child

        def work():
            prepare()
            running.run_due(stores.Store(self.database, lambda: self.time), letta.Letta)
            os._exit(0)

        child = FORK.Process(target=work)
        child.start()
        child.join(LIMIT)
        self.assertEqual(child.exitcode, -signal.SIGKILL)

    def test_nothing_is_sent_twice_wherever_it_dies(self):
        def die(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)

        def before(owner, name):
            return lambda: setattr(owner, name, die)

        def after(owner, name):
            whole = getattr(owner, name)
            return lambda: setattr(owner, name, lambda *words, **more: die(whole(*words, **more)))

        points = [
            ("before the claim", before(stores.Store, "claim"), 0),
            ("within the claim", before(stores.Store, "_move_on"), 0),
            ("at the end of the claim", before(stores.Store, "_forget"), 0),
            ("after the claim", after(stores.Store, "claim"), 1),
            ("before sending", before(letta.Letta, "send"), 1),
            ("after sending", after(letta.Letta, "send"), 1),
            ("before the outcome is kept", before(stores.Store, "_end"), 1),
            ("after the outcome is kept", after(stores.Store, "_end"), 1),
        ]
        for name, prepare, claimed in points:
            with self.subTest(name):
                self.letta.prompts = []
                schedule = self.add(prompt=name)
                self.pass_time(minutes=1)
                self.die_in(prepare)
                self.assertEqual(self.state(schedule)[1], claimed)
                # What was not begun is sent by the next process, once; what was begun, by none.
                self.assertEqual(self.run_due(), [] if claimed else ["sent"])
                self.assertLessEqual(len(self.letta.prompts), 1)
                before_next = len(self.letta.prompts)
                # Its next moment comes all the same, and nothing is left in the air.
                self.pass_time(minutes=1)
                self.assertEqual(self.run_due(), ["sent"])
                self.assertEqual(len(self.letta.prompts), before_next + 1)
                self.pass_time(minutes=11)
                self.run_due()
                with self.store.session() as session:
                    self.assertEqual(session.query(stores.Run).filter_by(state="sending").count(), 0)
                self.store.cancel(schedule.id)

    def test_many_at_once_share_the_work(self):
        wanted = {"prompt {}".format(number) for number in range(60)}
        for prompt in wanted:
            self.add(kind="time", expression="soon", prompt=prompt)
        self.pass_time(minutes=1)
        self.store.engine.dispose()

        def work():
            running.run_due(stores.Store(self.database, lambda: self.time), letta.Letta)

        children = [FORK.Process(target=work) for _ in range(4)]
        for child in children:
            child.start()
        for child in children:
            child.join(LIMIT)
            self.assertEqual(child.exitcode, 0)
        self.assertEqual(sorted(prompt for _, prompt in self.letta.prompts), sorted(wanted))


class Served(harness.Case):
    """Through a real server, whose service sends what is due."""

    def setUp(self):
        super().setUp()
        self.letta = LettaServer()
        self.addCleanup(self.letta.close)
        self.addCleanup(lambda: self.assertEqual(self.letta.misfits, []))

    def server(self, **more):
        variables = {
            "LETTA_BASE_URL": self.letta.url,
            "LETTA_API_KEY": KEY,
            "PROMPTYOSELF_DB": str(self.place / "prompts.db"),
            "MCP_PYTHON": sys.executable,
        }
        return harness.Server(self, plugins=("promptyoself",), **dict(variables, **more))

    def scheduler(self, server):
        """The process of the service, once it runs."""

        def look():
            for entry in pathlib.Path("/proc").glob("[0-9]*/environ"):
                try:
                    variables = entry.read_bytes().split(b"\0")
                    words = (entry.parent / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                mine = "PROMPTYOSELF_DB={}".format(self.place / "prompts.db").encode()
                if mine in variables and b"--loop" in words and b"execute" in words:
                    return int(entry.parent.name)

        return until("the service runs", look)

    def test_a_schedule_fires_once_and_only_once_across_a_kill(self):
        server = self.server()
        first = self.scheduler(server)
        failed, answer, _ = server.call("promptyoself__register", agent_id=AGENT, prompt="tick", every="2s")
        self.assertFalse(failed, answer)
        self.assertEqual(answer["agent-name"], "helper")
        until("two have come", lambda: len(self.letta.prompts) >= 2)
        os.kill(first, signal.SIGKILL)
        second = until("another one runs", lambda: self.other(server, first))
        self.assertNotEqual(first, second)
        count = len(self.letta.prompts)
        until("more have come", lambda: len(self.letta.prompts) >= count + 2)
        failed, answer, _ = server.call("promptyoself__list", agent_id=AGENT)
        schedule = answer["schedules"][0]
        # As many as were due and claimed, or one less for the one that was killed.
        self.assertIn(schedule["repetitions"] - len(self.letta.prompts), (-1, 0, 1))
        failed, answer, _ = server.call("promptyoself__cancel", id=schedule["id"])
        self.assertEqual(answer["schedule"]["state"], "cancelled")
        server.close()
        until("the service has ended", lambda: not pathlib.Path("/proc/{}".format(second)).exists())

    def other(self, server, first):
        found = self.scheduler(server)
        return found if found != first else None

    def test_without_a_key_each_tool_says_what_is_wrong(self):
        server = self.server(LETTA_API_KEY="wrong")
        failed, error, _ = server.call("promptyoself__test")
        self.assertTrue(failed)
        self.assertIn("LETTA_API_KEY", error)

    def test_the_other_tools(self):
        server = self.server()
        _, answer, _ = server.call("promptyoself__agents")
        self.assertEqual(answer["agents"], [{"id": AGENT, "name": "helper"}])
        _, answer, _ = server.call("promptyoself__test")
        self.assertEqual(answer["agents"], "1")
        source = 'def add(a: int) -> int:\n    """Adds."""\n    return a'
        _, answer, _ = server.call("promptyoself__upload", name="add", description="Adds", source_code=source)
        self.assertEqual(answer["tool"], {"id": "tool-1", "name": "add"})
        self.assertEqual(self.letta.uploaded, [{"description": "Adds", "source_code": source}])
        for arguments, code in (
            ({"agent_id": "agent-unknown", "prompt": "p", "every": "5m"}, "no agent 'agent-unknown'"),
            ({"prompt": "p", "every": "5m"}, "X-Agent-Id"),
            ({"agent_id": AGENT, "prompt": " ", "every": "5m"}, "empty"),
            ({"agent_id": AGENT, "prompt": "p", "every": "5 weeks"}, "no interval"),
            ({"agent_id": AGENT, "prompt": "p", "cron": "0 0 30 2 *"}, "never comes"),
            ({"agent_id": AGENT, "prompt": "p", "cron": "* * * * * *"}, "five fields"),
            ({"agent_id": AGENT, "prompt": "p", "time": "2020-01-01T00:00"}, "is over"),
            ({"agent_id": AGENT, "prompt": "p", "time": "2090-01-01", "timezone": "Mars"}, "time zone"),
        ):
            failed, error, _ = server.call("promptyoself__register", **arguments)
            self.assertTrue(failed, arguments)
            self.assertIn(code, error)


class Described(unittest.TestCase):
    def describe(self, **variables):
        keep = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        output = subprocess.run(
            [sys.executable, "-B", str(PLUGIN / "cli.py"), "--describe"],
            env=dict(keep, **variables),
            stdout=subprocess.PIPE,
            check=True,
            timeout=LIMIT,
        )
        return json.loads(output.stdout)

    def test_a_scheduler_that_could_send_nothing_is_no_service(self):
        self.assertNotIn("services", self.describe())
        services = self.describe(LETTA_BASE_URL="http://localhost:8283")["services"]
        self.assertEqual([service["name"] for service in services], ["scheduler"])


if __name__ == "__main__":
    unittest.main()
