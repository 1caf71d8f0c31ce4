#!/usr/bin/env python3
"""Every kind of content a tool can return, each by a command that prints it."""
import base64
import io
import json
import sys
import wave

RED_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC"


def text(words):
    return {"type": "text", "text": words}


def image():
    return {"type": "image", "data": RED_PIXEL, "mimeType": "image/png"}


def resource(uri, mime_type, words):
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": words}}


def hundredth_of_a_second_of_silence():
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        sound.writeframes(bytes(160))
    return base64.b64encode(file.getvalue()).decode()


def simple_text():
    """Returns one block of text"""
    print("This is a simple text response for testing.")


def image_content():
    """Returns an image"""
    show(image())


def audio_content():
    """Returns a sound"""
    show({"type": "audio", "data": hundredth_of_a_second_of_silence(), "mimeType": "audio/wav"})


def embedded_resource():
    """Returns a resource inside the result"""
    show(resource("test://embedded-resource", "text/plain", "This is an embedded resource content."))


def multiple_content_types():
    """Returns text, an image and a resource in one result"""
    show(
        text("Multiple content types test:"),
        image(),
        resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    )


def error_handling():
    """Fails, as any program does: a message on stderr and a non-zero exit"""
    sys.exit("This tool intentionally returns an error for testing")


def show(*blocks):
    print(json.dumps({"content": blocks}))


PLAIN = [simple_text, error_handling]
RICH = [image_content, audio_content, embedded_resource, multiple_content_types]


def describe():
    def command(run, output):
        return {"name": run.__name__, "tool": "test_" + run.__name__, "description": run.__doc__, "output": output}

    return {
        "contract_version": "1.1",
        "plugin": {"name": "content", "version": "1.0.0", "description": __doc__},
        "commands": [command(run, "text") for run in PLAIN] + [command(run, "content") for run in RICH],
    }


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        print(json.dumps(describe()))
    else:
        {run.__name__: run for run in PLAIN + RICH}[sys.argv[1]]()
