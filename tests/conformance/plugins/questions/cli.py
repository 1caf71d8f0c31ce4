#!/usr/bin/env python3
"""Programs that ask while they run: the user a question, the client's model for a text, the client for its roots.

Each is one straight line from question to answer. Where the client can be asked at once, the answer comes while the
program waits; where it cannot, the program is ended, and run again from the start once the answers are there.
"""
import argparse
import json
import os
import sys

# Run by hand there is no such descriptor: the question is shown on stderr, and the terminal answers.
EVENTS = int(os.environ.get("SMCP_EVENTS", 2))
OPTIONS = ["option1", "option2", "option3"]


def tell(**event):
    with open(EVENTS, "w", closefd=False) as events:
        print(json.dumps(event), file=events)


def ask(**questions):
    """The client's answers, by the same keys."""
    tell(ask=questions)
    with open(EVENTS, closefd=False) as events:
        answers = json.loads(events.readline())
    if "error" in answers:
        sys.exit(answers["error"]["message"])
    return answers


def form(message, required=(), **fields):
    schema = {"type": "object", "properties": fields, "required": list(required)}
    return {"elicit": {"message": message, "requestedSchema": schema}}


def sample(prompt, most_tokens=100):
    message = {"role": "user", "content": {"type": "text", "text": prompt}}
    return {"sample": {"messages": [message], "maxTokens": most_tokens}}


def one_field(message, name, kind="string"):
    return form(message, [name], **{name: {"type": kind}})


def titled(**titles):
    return [{"const": value, "title": title} for value, title in titles.items()]


def outcome(answer):
    return f"action={answer['action']}, content={json.dumps(answer.get('content', {}))}"


def filled_in(answer, name):
    """The value of one field; a form that was declined has none."""
    return answer.get("content", {}).get(name, "stranger")


def sampling(given):
    """Asks the client's model and returns what it says"""
    print("LLM response: " + ask(reply=sample(given.prompt))["reply"]["content"]["text"])


def elicitation(given):
    """Asks the user for a name and an address"""
    question = form(
        given.message,
        ["username", "email"],
        username={"type": "string", "description": "User's response"},
        email={"type": "string", "description": "User's email address"},
    )
    print("User response: " + outcome(ask(user=question)["user"]))


def elicitation_sep1034_defaults(_):
    """Shows a form with a default in every kind of field"""
    question = form(
        "Please review and update the form fields with defaults",
        name={"type": "string", "description": "User name", "default": "John Doe"},
        age={"type": "integer", "description": "User age", "default": 30},
        score={"type": "number", "description": "User score", "default": 95.5},
        status={"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        verified={"type": "boolean", "description": "Verification status", "default": True},
    )
    print("Elicitation completed: " + outcome(ask(form=question)["form"]))


def elicitation_sep1330_enums(_):
    """Shows a form with the five ways to offer a choice"""
    question = form(
        "Please select options from the enum fields",
        untitledSingle={"type": "string", "enum": OPTIONS},
        titledSingle={"type": "string", "oneOf": titled(value1="First Option", value2="Second Option")},
        legacyEnum={"type": "string", "enum": ["opt1", "opt2"], "enumNames": ["Option One", "Option Two"]},
        untitledMulti={"type": "array", "items": {"type": "string", "enum": OPTIONS}},
        titledMulti={"type": "array", "items": {"anyOf": titled(value1="First Choice", value2="Second Choice")}},
    )
    print("Elicitation completed: " + outcome(ask(form=question)["form"]))


def streaming_elicitation(_):
    """Reports progress, then asks the user to confirm"""
    tell(progress=1, total=2, message="about to ask")
    answer = ask(confirm=one_field("Please confirm", "ok", "boolean"))["confirm"]
    print("Confirmation: " + outcome(answer))


def missing_capability(_):
    """Cannot start without a client that offers sampling"""
    print(ask(reply=sample("Say hello"))["reply"]["content"]["text"])


def input_required_result_elicitation(_):
    """Greets the user by name"""
    answer = ask(user_name=one_field("What is your name?", "name"))["user_name"]
    print(f"Hello, {filled_in(answer, 'name')}!")


def input_required_result_sampling(_):
    """Asks the client's model for a capital"""
    answer = ask(capital_question=sample("What is the capital of France?"))["capital_question"]
    print(answer["content"]["text"])


def input_required_result_list_roots(_):
    """Lists the client's roots"""
    roots = ask(client_roots={"roots": {}})["client_roots"]["roots"]
    print("Roots: " + ", ".join(root["uri"] for root in roots))


def input_required_result_request_state(_):
    """Asks for a confirmation, whose state travels with the client"""
    ask(confirm=one_field("Please confirm", "ok", "boolean"))
    print("state-ok")


def input_required_result_tampered_state(_):
    """Asks for a confirmation, whose state must come back unchanged"""
    ask(confirm=one_field("Please confirm", "ok", "boolean"))
    print("state-ok")


def input_required_result_multiple_inputs(_):
    """Asks the user, the model and the client at once"""
    answers = ask(
        user_name=one_field("What is your name?", "name"),
        greeting=sample("Generate a greeting", most_tokens=50),
        client_roots={"roots": {}},
    )
    greeting = answers["greeting"]["content"]["text"]
    print(f"{greeting} {filled_in(answers['user_name'], 'name')}, {len(answers['client_roots']['roots'])} roots")


def input_required_result_multi_round(_):
    """Asks two questions, the second once the first is answered"""
    name = filled_in(ask(step1=one_field("Step 1: What is your name?", "name"))["step1"], "name")
    colour = ask(step2=one_field(f"Step 2: What is your favorite color, {name}?", "color"))["step2"]
    print(f"{name} likes {filled_in(colour, 'color')}")


def input_required_result_capabilities(_):
    """Asks only what this client can answer"""
    can = json.loads(os.environ["SMCP_CLIENT"])["capabilities"]
    questions = {}
    if "elicitation" in can:
        questions["user_name"] = one_field("What is your name?", "name")
    if "sampling" in can:
        questions["greeting"] = sample("Generate a greeting")
    print("Answered: " + ", ".join(ask(**questions)) if questions else "This client cannot be asked")


def personal_prompt(_):
    answer = ask(user_context=one_field("What context should the prompt use?", "context"))["user_context"]
    print(f"Use this context: {filled_in(answer, 'context')}")


TOOLS = [
    sampling,
    elicitation,
    elicitation_sep1034_defaults,
    elicitation_sep1330_enums,
    streaming_elicitation,
    missing_capability,
    input_required_result_elicitation,
    input_required_result_sampling,
    input_required_result_list_roots,
    input_required_result_request_state,
    input_required_result_tampered_state,
    input_required_result_multiple_inputs,
    input_required_result_multi_round,
    input_required_result_capabilities,
]
PARAMETERS = {
    sampling: [
        {"name": "prompt", "type": "string", "description": "The prompt to send to the model", "required": True}
    ],
    elicitation: [
        {"name": "message", "type": "string", "description": "The message to show the user", "required": True}
    ],
}
REQUIRES = {missing_capability: ["sampling"]}


def describe():
    return {
        "contract_version": "1.1",
        "plugin": {"name": "questions", "version": "1.0.0", "description": __doc__.splitlines()[0]},
        "commands": [
            {
                "name": run.__name__,
                "tool": "test_" + run.__name__,
                "description": run.__doc__,
                "parameters": PARAMETERS.get(run, []),
                "requires": REQUIRES.get(run, []),
            }
            for run in TOOLS
        ],
        "prompts": [
            {
                "name": "test_input_required_result_prompt",
                "description": "A prompt for a context that the user names",
                "command": "personal_prompt",
            }
        ],
    }


def parser():
    program = argparse.ArgumentParser(description=__doc__)
    program.add_argument("--describe", action="store_true")
    commands = program.add_subparsers(dest="command")
    for run in TOOLS + [personal_prompt]:
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        for parameter in PARAMETERS.get(run, []):
            command.add_argument("--" + parameter["name"], required=True)
    return program


if __name__ == "__main__":
    given = parser().parse_args()
    if given.describe:
        print(json.dumps(describe()))
    else:
        given.run(given)
