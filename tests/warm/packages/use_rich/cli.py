#!/usr/bin/env python3
"""Prints tables, trees and tracebacks with rich."""
import sys

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.traceback import install
from rich.tree import Tree


def use():
    console = Console(width=60)
    table = Table(title="rows")
    table.add_column("a", justify="right")
    table.add_column("b", style="cyan")
    table.add_row("1", "zwei")
    console.print(table)
    tree = Tree("root")
    tree.add("[bold]leaf[/bold]").add("😀")
    console.print(tree, Markdown("# title\n\n* one\n* two"))
    Console(width=40, force_terminal=True, color_system="truecolor").print("[red]red[/red]")
    install(width=60, show_locals=False)
    raise ValueError("shown by rich")


if __name__ == "__main__":
    if sys.argv[1:] == ["--describe"]:
        command = '{"name": "use", "description": "Uses it", "parameters": []}'
        plugin = '{"name": "package", "version": "1.0.0", "description": "Uses a package"}'
        print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, command))
    else:
        use()
