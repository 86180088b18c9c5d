"""The command line `kompetensnav-registry`."""

from types import ModuleType

from kompetensnav_chassis.commands import service_commands


def _main() -> ModuleType:
    from kompetensnav_registry import main

    return main


run = service_commands("registry", main=_main)
