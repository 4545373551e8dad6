"""`sakuga export`: weights to networks, config.yaml to config.pbtxt."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from sakuga_core.config.schema import Config
    from sakuga_core.networks.custom import CustomNetwork


def _numbers(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[float, ...] | None:
    """One number for all channels, or three separated by commas."""
    if text is None:
        return None
    try:
        numbers = tuple(float(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        raise click.BadParameter(f"{text!r}; allowed: one number, or three separated by commas")
    return numbers * (3 // len(numbers))


@click.command()
@click.argument("networks", nargs=-1, metavar="[NET]...")
@click.option("--config", "file", type=click.Path(), help="path of config.yaml")
@click.option("--all", "every", is_flag=True, help="export all networks")
@click.option("--weights", type=click.Path(path_type=Path), help="folder with the weight files")
@click.option("--check", is_flag=True, help="only check: exit with 1 if a config.pbtxt is outdated")
@click.option("--name", help="name of a custom network")
@click.option("--title", help="title of a custom network  [default: its file's name]")
@click.option("--licence", default="not stated", help="licence of its weights")
@click.option("--side", type=click.IntRange(1), help="input size of an .onnx, if it isn't fixed")
@click.option(
    "--mean",
    callback=_numbers,
    help="mean for an .onnx, 1 or 3 numbers  [default: ImageNet's]",
)
@click.option(
    "--std", callback=_numbers, help="deviation for an .onnx, 1 or 3 numbers  [default: ImageNet's]"
)
@click.option("--remove", metavar="NAME", help="delete a custom network")
@click.pass_obj
def main(settings: Any, /, file: str | None, **options: Any) -> None:
    """Export networks into the model repository, and write its config.pbtxt files.

    NET is a network's name, or the file of a custom network: a super-resolution checkpoint (.pth,
    .safetensors) or a segmentation network (.onnx). Without NET, the networks in config.yaml are
    exported.
    """
    from sakuga_core.config.file import load_config
    from sakuga_core.errors import SakugaError
    from sakuga_export.errors import ExportError

    try:
        config = settings.config if settings and not file else load_config(file)
        _run(config, **options)
    except (SakugaError, ExportError) as error:
        raise click.ClickException(str(error)) from None


def _run(
    config: "Config",
    networks: tuple[str, ...],
    every: bool,
    weights: Path | None,
    check: bool,
    remove: str | None,
    **options: Any,
) -> None:
    from sakuga_core.networks import registry
    from sakuga_core.networks.registry import NETWORKS
    from sakuga_core.repository import writer
    from sakuga_export.output import one_at_a_time

    folder = config.server.repository
    if check:
        _check(config)
        return
    with one_at_a_time(folder):
        done = _change_custom(networks, options, remove, folder)
        for written in writer.write(folder, config):
            click.echo(f"wrote {written}")
        if done:
            return
        named = [n.name for n in NETWORKS] if every else list(networks) or configured(config)
        names = dict.fromkeys(each for name in named for each in registry.members(name))
        failed = [name for name in names if not _export(name, config, weights)]
    if failed:
        raise click.ClickException(f"not exported: {', '.join(failed)}")


def _change_custom(
    networks: tuple[str, ...], options: dict[str, Any], remove: str | None, repository: Path
) -> bool:
    """Adds or removes a custom network; whether the command says so."""
    import time

    from sakuga_export.custom import add
    from sakuga_export.errors import ExportError

    if remove:
        add.remove(remove, repository)
        click.echo(f"{remove}: removed")
        return True
    source = Path(networks[0]) if networks else Path()
    if source.suffix not in add.SUFFIXES and not options["name"]:
        return False
    if len(networks) != 1 or source.suffix not in add.SUFFIXES or not options["name"]:
        raise click.UsageError(
            f"one file ({', '.join(add.SUFFIXES)}) and its --name must be given together"
        )
    if not source.is_file():
        raise ExportError(f"there is no file {source}")
    start = time.perf_counter()
    row = add.add(source, add.CustomOptions(**options), repository)
    click.echo(f"{row.name}: {_summary(row)}; exported in {time.perf_counter() - start:.1f} s")
    return True


def _summary(row: "CustomNetwork") -> str:
    """What was found out of a custom network."""
    from sakuga_core.networks.families import CustomUpscaler

    if not isinstance(row, CustomUpscaler):
        return f"segments, input {row.side}x{row.side}"
    tiles = (
        f"receptive field {row.receptive_field}"
        if row.side is None
        else f"tiles of {row.side}x{row.side}"
    )
    return f"{row.architecture}, {row.scale}x, {tiles}"


def _check(config: "Config") -> None:
    """
    Raises:
        ClickException: a file of the repository isn't what it should be.
    """
    from sakuga_core.repository import writer

    if changed := writer.drift(config.server.repository, config):
        files = "\n".join(f"  {file}" for file in changed)
        raise click.ClickException(f"not up to date; run `sakuga export`:\n{files}")


def configured(config: "Config") -> list[str]:
    """The networks that config.yaml names, and `upscale`'s default."""
    from sakuga_core.actions import ACTIONS, ImageAction
    from sakuga_core.networks import registry
    from sakuga_core.protocol import canonical

    families = dict.fromkeys(row.default_family for row in ACTIONS.values())
    blocks = [*map(config.block, ACTIONS), *(getattr(config, family) for family in families)]
    named = [canonical(block.model) for block in blocks if block.model]
    default = str(config.options_for(ImageAction.UPSCALE)["model"])
    known = {name for row in registry.NETWORKS for name in (row.called, row.name)}
    return [name for name in dict.fromkeys([default, *named]) if name in known]


def _export(name: str, config: "Config", weights: Path | None) -> bool:
    import time

    from sakuga_core.networks import custom, registry
    from sakuga_export import export
    from sakuga_export.errors import ExportError
    from sakuga_export.fetch import FetchError

    if name in {row.name for row in custom.rows(config.server.repository)}:
        click.echo(f"{name}: custom, already exported; to export it again, give its file")
        return True
    start = time.perf_counter()
    try:
        network = registry.configured(registry.by_name(name), config)
        done = export.export(network, config.server.repository, weights)
    except (KeyError, FetchError, ExportError) as error:
        click.echo(f"{name}: {error.args[0]}", err=True)
        return False
    seconds = f" in {time.perf_counter() - start:.1f} s"
    click.echo(f"{name}: exported{seconds}" if done else f"{name}: up to date")
    return True
