#!/usr/bin/env python3
"""A click program that is called in several ways."""
import sys

import click
from click.testing import CliRunner


@click.group()
@click.option("--verbose/--quiet", default=False, envvar="VERBOSE")
@click.pass_context
def program(context, verbose):
    """Does things."""
    context.obj = verbose


@program.command()
@click.argument("names", nargs=-1)
@click.option("--count", type=click.IntRange(1, 3), default=1, show_default=True)
@click.pass_obj
def greet(verbose, names, count):
    """Greets."""
    for name in names * count:
        click.secho("hello " + name, fg="green", bold=verbose)


def use():
    for words in (["--help"], ["greet", "a", "b", "--count", "2"], ["greet", "--count", "7"], ["nothing"]):
        done = CliRunner().invoke(program, words)
        print(done.exit_code, done.output)
    program(["--verbose", "greet", "--count", "x"], prog_name="program")


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
