"""Progress of a running command, by the event channel of the plugin contract, or on a terminal."""

import json
import os
import sys


def _descriptor():
    if "SMCP_EVENTS" in os.environ:
        try:
            return int(os.environ["SMCP_EVENTS"])
        except ValueError:
            return None
    # By hand: people see the progress. Older servers read stderr, and get none.
    return 2 if sys.stderr.isatty() else None


def progress(done, total, message):
    """Reports a step. A report that cannot be delivered is no reason to stop a deploy."""
    descriptor = _descriptor()
    if descriptor is None:
        return
    event = {"progress": done, "total": total, "message": message}
    try:
        os.write(descriptor, (json.dumps(event) + "\n").encode())
    except OSError:
        pass
