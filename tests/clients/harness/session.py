"""Owns what sessions and clients have in common, whatever is behind them; knows no SDK."""

import asyncio


class Session:
    """A session whose calls can be made side by side."""

    async def many(self, calls):
        return await asyncio.gather(*(self.call(*call) for call in calls))


class Client:
    """A client that takes results of any size."""

    @staticmethod
    def too_large(_door) -> str | None:
        return None
