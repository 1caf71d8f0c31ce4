#!/usr/bin/env python3
"""Reads its own text, and shows lines of it."""
import ast
import dis
import doctest
import inspect
import io
import linecache
import pydoc
import sys
import tokenize
import traceback
import typing
import warnings


class Documented:
    """One word.

    >>> Documented.word
    'word'
    >>> 1 + 1
    3
    """

    word: str = "word"

    def method(self, number: int = 3, *rest: "typing.Any", **named) -> typing.List[str]:
        """Gives words."""
        return [self.word] * number  # a comment


def case_source():
    print(inspect.getsource(Documented.method), inspect.getsourcelines(Documented)[1], inspect.getfile(Documented))


def case_signature():
    print(inspect.signature(Documented.method), typing.get_type_hints(Documented.method), inspect.getdoc(Documented))


def case_lines():
    print(repr(linecache.getline(__file__, 2)), inspect.getmodule(case_lines), inspect.getsourcefile(case_lines))


def case_tests():
    print(doctest.testmod(verbose=False))


def case_tree():
    with open(__file__) as file:
        tree = ast.parse(file.read())
    print(len([node for node in tree.body if isinstance(node, ast.FunctionDef)]), tree.body[0].value.lineno)


def case_tokens():
    with tokenize.open(__file__) as file:
        print(file.encoding, next(tokenize.generate_tokens(file.readline)).string)


def case_instructions():
    text = io.StringIO()
    dis.dis(lambda: 1, file=text)
    print(text.getvalue().count("\n") > 1, case_source.__code__.co_filename, case_source.__code__.co_firstlineno)


def case_traceback_lines():
    try:
        Documented().method("x")
    except TypeError:
        print(traceback.format_exc(), file=sys.stdout)


def case_traceback_locals():
    try:
        Documented().method("x")
    except TypeError as fault:
        print("".join(traceback.TracebackException.from_exception(fault, capture_locals=True).format()))


def case_suggestion():
    Documented.wrod


def case_suggested_name():
    documented = Documneted  # noqa: F821, F841


def case_notes():
    fault = ValueError("words")
    getattr(fault, "add_note", print)("a note")
    raise fault


def case_warning_line():
    warnings.warn("look here", stacklevel=1)
    warnings.warn_explicit("there", UserWarning, "file", 3)


def case_warning_as_error():
    warnings.simplefilter("error")
    warnings.warn("look here")


def case_interactive():
    import code

    console = code.InteractiveConsole({"value": 3})
    for line in ("value + 1", "1 / 0", "def f():", "  return 2", "", "f()", "(", "]"):
        console.push(line)


def case_compiled_text():
    exec(compile("import sys\nprint(__name__, __file__ == sys.argv[0])\nraise KeyError('x')", "<text>", "exec"))


def case_syntax():
    compile("def f(:\n  pass", "<text>", "exec")


def case_syntax_warning():
    exec(compile("print(1 is 1)", "<text>", "exec"))


def case_help():
    pydoc.help(Documented)


def case_names_of_frames():
    print([(entry.function, entry.lineno) for entry in inspect.stack()], inspect.currentframe().f_lineno)


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
