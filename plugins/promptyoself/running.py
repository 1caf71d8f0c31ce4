"""Runs what is due: once, or again and again until it is told to end."""

import signal
import sys
import time

import letta

#: Seconds between two looks at the clock and at whether to end.
PAUSE = 0.25
#: Runs of one pass: after these the clock is looked at again.
MAX_AT_ONCE = 1000


def run_due(store, connect, is_ended=lambda: False, tell=lambda outcome: None):
    """Sends every prompt that is due, and says what became of each. `connect` makes a connection to Letta; nothing more
    is begun once `is_ended`, and `tell` hears of each outcome at once."""
    store.give_up_lost()
    outcomes = []
    client = None
    while len(outcomes) < MAX_AT_ONCE and not is_ended():
        if client is None:
            # Before anything is claimed: without it nothing could be sent.
            client = connect()
        claimed = store.claim()
        if claimed is None:
            break
        outcome = _send(store, client, *claimed)
        tell(outcome)
        outcomes.append(outcome)
    return outcomes


def _send(store, client, run, schedule):
    outcome = {"id": schedule.id, "agent-id": schedule.agent_id, "due": run.due_at.isoformat(), "tries": run.tries}
    try:
        detail = client.send(schedule.agent_id, schedule.prompt)
    except letta.NotDelivered as fault:
        again = store.not_delivered(run, str(fault))
        return dict(outcome, state="waiting" if again else "failed", detail=str(fault))
    except letta.Refused as fault:
        store.failed(run, str(fault))
        return dict(outcome, state="failed", detail=str(fault))
    except Exception as fault:  # letta.Unknown, and whatever else: one prompt must not keep the others back
        store.lost(run, str(fault))
        return dict(outcome, state="lost", detail="{}; it is not sent again".format(fault))
    store.sent(run, str(detail))
    return dict(outcome, state="sent", detail=str(detail))


def loop(store, connect, interval):
    """Runs what is due at its moment until SIGTERM or SIGINT. Looks every `interval` seconds at least, by a clock that
    nobody sets: others may have put something into the database meanwhile, and the time of day may have been changed."""
    ended = []

    def end(*_):
        # The prompt that is being sent is sent to its end; no other is begun.
        ended.append(True)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    _log("waiting for what is due, in {}".format(store.path))
    while not ended:
        next_look = time.monotonic() + interval
        due = None
        try:
            run_due(store, connect, lambda: bool(ended), _tell)
            due = store.next_due()
        except Exception as fault:
            _log("cannot run what is due, and tries again in {} s: {}".format(interval, fault))
        while not ended and time.monotonic() < next_look:
            left = (due - store.now()).total_seconds() if due is not None else interval
            if left <= 0:
                break
            time.sleep(min(PAUSE, left))


def _tell(outcome):
    _log("{state}: schedule {id} for {agent-id}, due {due}: {detail}".format(**outcome))


def _log(line):
    print(line, file=sys.stderr, flush=True)
