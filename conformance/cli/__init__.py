"""The command line, a module per command or group of commands."""
