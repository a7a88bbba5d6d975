"""``python -m tools.cli_page`` writes docs/cli.md, the command line reference, from the parser."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from conformance.cli.main import parser
from conformance.text.files import replace
from conformance.text.markdown import plain, table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
"""The page in a checkout."""

INTRODUCTION = """\
# Command line

Every command and option of `smi-conformance`. `python -m tools.cli_page` generates this page from the parser;
edit the parser instead. pytest can also run the suites directly:
`pytest -p conformance.plugin --pyargs conformance.suites --smi-mesh reference`. The options of `run` have the
prefix `--smi-` there.

Exit codes: 0 success; 1 a core requirement failed (`run`), a fault was not detected by exactly the expected
requirements (`faults`), a variant did not pass (`variants`), or a report contradicts its evidence
(`report verify`); 2 inconclusive, a failed check of `doctor`, or unusable input. SIGTERM ends a run as Ctrl-C
does: with its report.
"""


def page() -> str:
    """The page as Markdown: a section for each command, with a table of its arguments."""
    top = parser()
    (commands,) = (one for one in top._actions if isinstance(one, argparse._SubParsersAction))
    lines = [INTRODUCTION]
    for name, command in commands.choices.items():
        lines += list(_command(f"smi-conformance {name}", command))
    return "\n".join(lines) + "\n"


def _command(name: str, command: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## {name.partition(' ')[2]}" if name.count(" ") == 1 else f"### {name.partition(' ')[2]}"
    yield ""
    if command.description:
        yield " ".join(command.description.split())
        yield ""
    nested = [one for one in command._actions if isinstance(one, argparse._SubParsersAction)]
    for group in command._action_groups:
        shown = [one for one in group._group_actions if _is_shown(one)]
        if not shown:
            continue
        if group.title not in ("options", "positional arguments"):
            said = f" {plain(group.description)}" if group.description else ""
            yield f"*{plain(group.title or '')}*{said}"
            yield ""
        yield from table(("argument", "meaning"), [(_spelled(one), _meaning(one, command)) for one in shown])
        yield ""
    for one in nested:
        for inner, parser_of_it in one.choices.items():
            yield from _command(f"{name} {inner}", parser_of_it)


def _is_shown(action: argparse.Action) -> bool:
    hidden = isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    return not hidden and action.help is not argparse.SUPPRESS


def _spelled(action: argparse.Action) -> str:
    value = ""
    if action.nargs != 0:
        named = action.metavar or (
            "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
        )
        value = named if isinstance(named, str) else " ".join(named)
        value += " …" if action.nargs in ("+", "*") else ""
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{option} {value}`".replace(" `", "`") for option in action.option_strings)


def _meaning(action: argparse.Action, command: argparse.ArgumentParser) -> str:
    words = plain((action.help or "") % {**vars(action), "prog": command.prog})
    return f"{words} (required)" if action.required and action.option_strings else words


def main() -> int:
    """Write the page."""
    replace(PAGE, page())
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
