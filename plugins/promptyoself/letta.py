"""Letta's API, as far as prompts need it, by its own client."""

import os

from failure import Failure

#: Seconds until a request is given up. A prompt is taken at once and worked on afterwards.
LIMIT = 60
MAX_AGENTS = 200


class NotDelivered(Exception):
    """The prompt certainly did not arrive: it may be sent again."""


class Unknown(Exception):
    """Nobody knows whether the prompt has arrived: it must not be sent again."""


class Refused(Exception):
    """Letta took the request and does not want it: sending it again would change nothing."""


def address():
    """Where Letta is, as all tools around it call that; `None` where nothing says so."""
    return os.environ.get("LETTA_BASE_URL") or os.environ.get("LETTA_SERVER_URL")


def password():
    return os.environ.get("LETTA_API_KEY") or os.environ.get("LETTA_SERVER_PASSWORD")


def is_configured():
    return bool(address() or password())


class Letta:
    """A connection to Letta."""

    def __init__(self):
        try:
            import letta_client
        except ImportError:
            message = "letta-client is not installed; `pip install -r requirements.txt` in this plugin's directory"
            raise Failure("not_installed", message) from None
        if not is_configured():
            message = "set LETTA_BASE_URL to Letta's address, such as http://localhost:8283, and LETTA_API_KEY to its password"
            raise Failure("not_configured", message)
        self.errors = letta_client
        # Without its retries: a prompt whose answer is lost would be sent twice.
        options = {"api_key": password() or "none", "timeout": LIMIT, "max_retries": 0}
        if address():
            options["base_url"] = address().rstrip("/")
        try:
            self.client = letta_client.Letta(**options)
        except Exception as fault:
            raise Failure("not_configured", "LETTA_BASE_URL cannot be used: {}".format(fault)) from None

    def send(self, agent_id, prompt):
        """Gives an agent a prompt, and returns the id of the run that works on it, without waiting for that.

        Raises NotDelivered, Unknown or Refused.
        """
        message = {"role": "user", "content": prompt}
        try:
            return self.client.agents.messages.create_async(agent_id, messages=[message]).id
        except self.errors.APIConnectionError as fault:
            if _was_not_sent(fault):
                raise NotDelivered("Letta cannot be reached: {}".format(_cause(fault))) from None
            raise Unknown("the connection to Letta broke: {}".format(_cause(fault))) from None
        except self.errors.APIStatusError as fault:
            what = "Letta answers {}: {}".format(fault.status_code, _text(fault))
            # Before any work. A proxy's 502 or 503 may hide that Letta took the request and could not answer.
            if fault.status_code == 429:
                raise NotDelivered(what) from None
            if fault.status_code >= 500:
                raise Unknown(what) from None
            raise Refused(what) from None
        except self.errors.APIResponseValidationError as fault:
            raise Unknown("Letta's answer cannot be read: {}".format(fault)) from None
        except ValueError as fault:
            # The client refuses what cannot be part of an address.
            raise Refused("'{}' is no id of an agent: {}".format(agent_id, fault)) from None

    def agent(self, agent_id):
        """The name of an agent. Raises Failure where there is none."""
        try:
            return self._ask(lambda: self.client.agents.retrieve(agent_id)).name
        except self.errors.NotFoundError:
            message = "Letta has no agent '{}'; `agents` lists those that it has".format(agent_id)
            raise Failure("unknown_agent", message) from None
        except (self.errors.UnprocessableEntityError, self.errors.BadRequestError, ValueError) as fault:
            message = "'{}' is no id of an agent: {}".format(agent_id, _text(fault))
            raise Failure("unknown_agent", message) from None

    def agents(self):
        """The agents, by id and name, and whether there are more."""
        page = self._ask(lambda: self.client.agents.list(limit=MAX_AGENTS + 1))
        found = [{"id": agent.id, "name": agent.name} for agent in page.items]
        return found[:MAX_AGENTS], len(found) > MAX_AGENTS

    def upload(self, name, description, source_code):
        """Gives Letta the source of a tool, in the place of one of the same name, and returns its id and name."""
        try:
            tool = self._ask(lambda: self.client.tools.upsert(source_code=source_code, description=description))
        except (self.errors.UnprocessableEntityError, self.errors.BadRequestError, self.errors.ConflictError) as fault:
            raise Failure("refused", "Letta does not take the tool: {}".format(_text(fault))) from None
        if tool.name != name:
            message = "Letta calls the tool '{}', after the function in the source code; it is there under that name"
            return {"id": tool.id, "name": tool.name, "warning": message.format(tool.name)}
        return {"id": tool.id, "name": tool.name}

    def _ask(self, request):
        try:
            return request()
        except self.errors.APIConnectionError as fault:
            message = "Letta at {} cannot be reached: {}".format(self.client.base_url, _cause(fault))
            raise Failure("unreachable", message) from None
        except (self.errors.AuthenticationError, self.errors.PermissionDeniedError) as fault:
            message = "Letta refuses the key ({}); LETTA_API_KEY must be its password".format(fault.status_code)
            raise Failure("unauthorized", message) from None
        except (
            self.errors.NotFoundError,
            self.errors.UnprocessableEntityError,
            self.errors.BadRequestError,
            self.errors.ConflictError,
        ):
            raise
        except self.errors.APIStatusError as fault:
            raise Failure("letta_error", "Letta answers {}: {}".format(fault.status_code, _text(fault))) from None


def _was_not_sent(fault):
    """Whether the connection was never made."""
    import httpx

    return isinstance(fault.__cause__, (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol))


def _cause(fault):
    return str(fault.__cause__ or fault) or type(fault.__cause__ or fault).__name__


def _text(fault):
    body = getattr(fault, "body", None)
    text = body.get("detail", body) if isinstance(body, dict) else body or fault
    return str(text)[:300]
