"""The command `sakuga` itself: finds its subcommands, and imports only the one that runs."""

import sys
from importlib.metadata import entry_points
from typing import Any

import click

from sakuga.cli.errors import INTERRUPTED
from sakuga.cli.settings import Settings
from sakuga_core.actions import ACTIONS

GROUP = "sakuga.commands"  # of entry points, by which other packages add commands

# This package's commands besides the actions, and what each does.
COMMANDS = {
    "models": "List the networks of the server; load and unload them.",
    "status": "Show whether the server is ready, and what each model has processed.",
    "health": "Send tiny pictures to each model; exit with 1 if one fails.",
    "config": "Check config.yaml, show the settings in effect, print the JSON Schema.",
}
# Commands of other packages: what each does, and what to install for it.
OTHERS = {
    "serve": ("Run a Triton server on this machine until Ctrl-C.", "sakuga[serve]"),
    "export": ("Export networks into the model repository.", "sakuga[export]"),
    "web": ("Serve the web page and the HTTP interface.", "sakuga[web]"),
}


class Commands(click.Group):
    """The subcommands, imported one by one."""

    def list_commands(self, context: click.Context) -> list[str]:
        """Actions first."""
        actions = [action.command for action in ACTIONS.values()]
        return [*actions, *COMMANDS, *sorted(_entry_points())]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """
        Raises:
            ClickException: the command belongs to a package that isn't installed.
        """
        if action := next((each for each in ACTIONS.values() if each.command == name), None):
            from sakuga.cli.images import command_of

            return command_of(action)
        if name in COMMANDS:
            return _command_of_ours(name)
        if found := _entry_points().get(name):
            command: click.Command = found.load()
            return command
        if name in OTHERS:
            raise click.ClickException(
                f"`sakuga {name}` isn't installed; run `pip install '{OTHERS[name][1]}'`"
            )
        return None

    def invoke(self, context: click.Context) -> Any:
        """Runs the subcommand; an interrupted one ends as shells expect."""
        try:
            return super().invoke(context)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands in the help, without importing them."""
        summaries = {action.command: action.summary for action in ACTIONS.values()} | COMMANDS
        summaries |= {name: summary for name, (summary, _) in OTHERS.items()}
        with formatter.section("Commands"):
            names = self.list_commands(context)
            formatter.write_dl([(name, summaries.get(name, "")) for name in names])


def _entry_points() -> dict[str, Any]:
    return {each.name: each for each in entry_points(group=GROUP)}


def _command_of_ours(name: str) -> click.Command:
    if name == "models":
        from sakuga.cli.models import models

        return models
    if name == "status":
        from sakuga.cli.status import status

        return status
    if name == "health":
        from sakuga.cli.health import health

        return health
    from sakuga.cli.config import config

    return config


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="sakuga")
@click.option("--config", "file", type=click.Path(), help="path of config.yaml")
@click.option("--url", help="host:port of Triton's gRPC, http://host:port of a gateway, or auto")
@click.pass_context
def main(context: click.Context, file: str | None, url: str | None) -> None:
    """Upscale, restore, enhance and remove the background of drawn and anime pictures on NVIDIA
    Triton."""
    context.obj = Settings(file, url)
