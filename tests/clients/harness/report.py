"""Owns what a suite prints: one line a check, then the sum; knows nothing of what is checked."""

import asyncio
import os
import time
import traceback


class Skip(Exception):
    """This client or this door does not have what the check is about."""


def leaf(error: BaseException) -> BaseException:
    """The first real fault inside the groups that task groups wrap around it."""
    while isinstance(error, BaseExceptionGroup) and error.exceptions:
        error = error.exceptions[0]
    return error


def reason(error: BaseException) -> str:
    error = leaf(error)
    text = " ".join(str(error).split())
    if isinstance(error, AssertionError) and text:
        return text[:400]
    return f"{type(error).__name__}: {text}"[:400]


class Report:
    """Counts what passed and what failed, and says so."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    async def check(self, topic: str, claim: str, run, limit: float = 60.0) -> None:
        """Runs one check within its time limit and prints its line."""
        begun = time.monotonic()
        try:
            await asyncio.wait_for(run, limit)
        except Skip as skip:
            print(f"skip  {topic}: {claim} -- {skip}", flush=True)
        except (Exception, asyncio.CancelledError) as error:
            self.failed += 1
            why = f"not done within {limit:.0f} s" if isinstance(error, TimeoutError) else reason(error)
            print(f"FAIL  {topic}: {claim} -- {why}", flush=True)
            if os.environ.get("SMCP_TRACE"):
                traceback.print_exception(error)
        else:
            self.passed += 1
            print(f"pass  {topic}: {claim} ({time.monotonic() - begun:.2f} s)", flush=True)

    def close(self) -> int:
        """Prints the sum and returns the exit code: a suite in which nothing ran has failed."""
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 0 if self.passed and not self.failed else 1
