"""Owns what both lines of the official Python SDK have in common. Knows neither: each line hands in its types."""

import session


class Session(session.Session):
    """`sdk` is the SDK's own session or client; `refusals` turns its errors into `Refused`."""

    def __init__(self, sdk, types, refusals, told: list[str]):
        self.sdk = sdk
        self.types = types
        self.refusals = refusals
        self.told = told

    async def prompts(self):
        listed = (await self.sdk.list_prompts()).prompts
        return [{"name": known.name, "arguments": [each.name for each in known.arguments or []]} for known in listed]

    async def prompt(self, name, arguments):
        with self.refusals():
            result = await self.sdk.get_prompt(name, arguments)
        return [(message.role, message.content.text) for message in result.messages]

    async def resources(self):
        return [str(resource.uri) for resource in (await self.sdk.list_resources()).resources]

    async def completion(self, kind, name, argument, value, known):
        """The SDK's own result of completing an argument of a prompt, or a variable of a template."""
        if kind == "prompt":
            reference = self.types.PromptReference(type="ref/prompt", name=name)
        else:
            reference = self.types.ResourceTemplateReference(type="ref/resource", uri=name)
        return await self.sdk.complete(reference, {"name": argument, "value": value}, known)


def callbacks(types, schema_of, elicit, sample, roots) -> dict:
    """What the SDK calls when the server asks something; `schema_of` reads the schema of a question's parameters."""

    async def answer(_context, params):
        action, content = elicit(params.message, schema_of(params))
        return types.ElicitResult(action=action, content=content)

    async def write(_context, params):
        text = sample([message.content.text for message in params.messages])
        content = types.TextContent(type="text", text=text)
        return types.CreateMessageResult(role="assistant", content=content, model="m")

    async def directories(_context):
        return types.ListRootsResult(roots=[types.Root(uri=uri) for uri in roots])

    return {
        "elicitation_callback": answer if elicit else None,
        "sampling_callback": write if sample else None,
        "list_roots_callback": directories if roots else None,
    }
