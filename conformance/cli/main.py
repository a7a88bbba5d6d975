# PYTHON_ARGCOMPLETE_OK
"""The command line: run, list, explain, report, doctor, faults, variants, shell, clean and others."""

from __future__ import annotations

import argparse
import importlib.metadata
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from conformance.catalogue import CatalogueError
from conformance.cli import campaigns, clean, doctor, explain, images, reference, report, run, shell, version
from conformance.cli import list as list_command
from conformance.cli.options import EXIT_CODES
from conformance.clusters import ClusterError
from conformance.drive.version_selection import VersionsError
from conformance.model.exit_codes import ExitCode
from conformance.profiles import ProfileError
from conformance.text.suggest import did_you_mean

_OURS = {"conformance", "smi_reference_mesh"}
_COMMANDS = (
    run, list_command, version, images, explain, report, doctor, campaigns, shell, clean, reference
)  # fmt: skip
"""In the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Characters that the locale's encoding lacks, as ISO 8859-1 lacks ✓, are escaped.
            stream.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsing = parser()
    typed = tuple(given)
    if "--" in given:
        split = given.index("--")
        given, rest = given[:split], given[split + 1 :]
    else:
        rest = []
    if "_ARGCOMPLETE" in os.environ:
        # The shell asks for completions.
        import argcomplete

        argcomplete.autocomplete(parsing)
    options = parsing.parse_args(given)
    if rest and options.command != "run":
        parsing.error("only run takes pytest options after --")
    options.pytest_options, options.typed = rest, typed
    try:
        code: int = options.function(options)
    except (CatalogueError, ProfileError, VersionsError, ClusterError) as error:
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


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = _Parser(
        prog="smi-conformance",
        description="Certifies service meshes against the Service Mesh Interface (SMI).",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ours = importlib.metadata.version("smi-conformance")
    top.add_argument("--version", action="version", version=f"%(prog)s {ours}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in _COMMANDS:
        module.add(commands)
    return top


if __name__ == "__main__":
    sys.exit(main())
