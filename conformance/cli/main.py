# PYTHON_ARGCOMPLETE_OK
"""The command line: run, list, explain, report, doctor, faults, variants, shell, clean and others."""

from __future__ import annotations

import argparse
import importlib
import io
import os
import sys
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from conformance.model.errors import UserError
from conformance.model.exit_codes import HELP, ExitCode
from conformance.text.suggest import did_you_mean

_OURS = {"conformance", "smi_reference_mesh"}


class CommandEntry(NamedTuple):
    """A command: ``arguments`` names the module and the function that add its arguments."""

    name: str
    arguments: str
    help: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Import the command, and add its arguments to its parser."""
        module, _, function = self.arguments.partition(":")
        getattr(importlib.import_module(f"conformance.cli.{module}"), function)(parser)


COMMANDS = (
    CommandEntry("run", "run:arguments", "judge a mesh and write a report to reports/<run>/"),
    CommandEntry("list", "list:arguments", "list all requirements with levels, versions, tests and faults"),
    CommandEntry("version", "version:arguments", "print the version of the suite"),
    CommandEntry("images", "images:arguments", "list the images that a run pulls, to mirror them"),
    CommandEntry(
        "explain",
        "explain:arguments",
        "explain a requirement: statement, source, objects, traffic, judges, faults",
    ),
    CommandEntry("report", "report:arguments", "verify a stored report, or render its page"),
    CommandEntry(
        "doctor",
        "doctor:arguments",
        "check a cluster and its mesh: permissions, APIs, membership, reachability; with remedies",
    ),
    CommandEntry(
        "faults",
        "campaigns:fault_arguments",
        "inject faults into the reference mesh: is each detected by exactly the expected requirements?",
    ),
    CommandEntry(
        "variants",
        "campaigns:variant_arguments",
        "run correct variants of the reference mesh: does each pass?",
    ),
    CommandEntry("shell", "shell:arguments", "keep a test environment running and debug it interactively"),
    CommandEntry(
        "clean", "clean:arguments", "remove namespaces that runs left behind, for instance after kill -9"
    ),
    CommandEntry("reference", "reference:arguments", "install or uninstall the reference mesh"),
)
"""In the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Characters that the locale's encoding lacks, as ISO 8859-1 lacks ✓, are escaped.
            stream.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        options = _parsed(given)
        code: int = options.function(options)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return ExitCode.INCONCLUSIVE
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in _OURS:
            raise
        # Commands that use the reference mesh need an extra.
        print(
            f"error: not installed: {error.name}; this command needs pip install 'smi-conformance[embedded]'",
            file=sys.stderr,
        )
        return ExitCode.INCONCLUSIVE
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return ExitCode.INCONCLUSIVE
    except BrokenPipeError:
        # The reader, such as `head`, closed the pipe; without this Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.INCONCLUSIVE
    return code


def _parsed(typed: Sequence[str]) -> argparse.Namespace:
    """The options of a command line. Raises SystemExit for an invalid one."""
    split = typed.index("--") if "--" in typed else len(typed)
    given, rest = list(typed[:split]), list(typed[split + 1 :])
    # To import a command, with all that it uses, takes longer than `list`: only what may have been typed.
    completes = "_ARGCOMPLETE" in os.environ
    parsing = parser([one.name for one in COMMANDS if completes or one.name in given])
    if completes:
        # The shell asks for completions.
        import argcomplete

        argcomplete.autocomplete(parsing)
    options = parsing.parse_args(given)
    if rest and options.command != "run":
        parsing.error("only run takes pytest options after --")
    options.pytest_options, options.typed = rest, tuple(typed)
    return options


class _Parser(argparse.ArgumentParser):
    """Suggests the closest known option for an unknown one, with the usage of the command concerned."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        # Before argparse, which would report a misspelt required option as missing.
        for option in (one.partition("=")[0] for one in args or ()):
            known = self._option_string_actions
            long = option.startswith("--") and not any(one.startswith(option) for one in known)
            if long and self._subparsers is None:
                self.error(f"unknown option {option}{did_you_mean(option, known)}")
        return super().parse_known_args(args, namespace)


class _Version(argparse.Action):
    """Prints the version, which is looked up only then."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import importlib.metadata

        print(parser.prog, importlib.metadata.version("smi-conformance"))
        parser.exit()


def parser(loaded: Collection[str] | None = None) -> argparse.ArgumentParser:
    """The parser of the command line; only the ``loaded`` commands (None: all) know their arguments."""
    top = _Parser(
        prog="smi-conformance",
        description="Certifies service meshes against the Service Mesh Interface (SMI).",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="show the version of the suite and exit")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        one = commands.add_parser(command.name, help=command.help)
        if loaded is None or command.name in loaded:
            command.add_arguments(one)
    return top


if __name__ == "__main__":
    sys.exit(main())
