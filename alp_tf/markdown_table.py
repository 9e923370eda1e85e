"""Markdown tables."""


def joined(head, rows, *, texts=1):
    """A table, one line a row.

    Args:
      head: str for each column.
      rows: of as many str each.
      texts: so many columns, the first, hold words; the others numbers, which are set to the right.
    """
    rule = [*["---"] * texts, *["---:"] * (len(head) - texts)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))
