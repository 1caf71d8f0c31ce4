"""Tables of the page."""


def table(head: list[str], rows: list[list[str]], numbers_from: int = 1) -> str:
    """Columns from `numbers_from` on are numbers, and end at the same place."""
    rule = ["---" if at < numbers_from else "---:" for at in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in [head, rule, *rows]) + "\n\n"
