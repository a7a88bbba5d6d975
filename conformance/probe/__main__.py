"""The probe's command line: ``serve`` runs a probe, ``ctl`` passes JSON lines to the running probe."""

from __future__ import annotations

import sys

USAGE = """\
usage: probe serve --name NAME --control SOCKET [--http PORT]... [--tcp PORT]... [--udp PORT]...
             [--greeting PORT]...
       probe ctl --control SOCKET [REQUEST]   (a line of JSON; read from standard input if not given)
"""
_ONCE = ("--name", "--control")
_PORTS = ("--http", "--tcp", "--udp", "--greeting")


def main(arguments: list[str]) -> int:
    """Run a subcommand and return its exit status; 2 means a usage error."""
    try:
        command, options, rest = _parse(arguments)
        if command == "ctl" and len(rest) <= 1:
            # A late import and no argparse: the client starts in a few milliseconds.
            from . import control_client

            return control_client.run(options["--control"], rest[0] if rest else None)
        if command == "serve" and not rest:
            # Hides OpenSSL from asyncio: useless to the probe, and otherwise loaded in every pod.
            sys.modules.setdefault("ssl", None)  # type: ignore[arg-type]
            from . import serve

            ports = {name[2:]: [int(port) for port in options.get(name, "").split()] for name in _PORTS}
            return serve.run(options["--name"], options["--control"], ports)
    except (KeyError, ValueError):
        pass
    sys.stderr.write(USAGE)
    return 2


def _parse(arguments: list[str]) -> tuple[str, dict[str, str], list[str]]:
    command, *words = arguments or [""]
    options: dict[str, str] = {}
    rest: list[str] = []
    left = iter(words)
    for word in left:
        if word in _ONCE or word in _PORTS:
            value = next(left, "")
            options[word] = f"{options[word]} {value}" if word in options else value
        else:
            rest.append(word)
    return command, options, rest


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
