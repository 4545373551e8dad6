"""The page of the command line, from the commands themselves."""

import re
from collections.abc import Iterator

import click

from sakuga.cli.flags import ActionCommand, group_of
from sakuga.cli.main import main
from sitepages.markdown import NONE, code, codes, page, slug, table, text

ABOUT = """# Command line

Every command, with its arguments and options. `sakuga COMMAND --help` prints the same. Options of
`sakuga` itself stand before the command: `sakuga --url localhost:8001 status`."""

_DEFAULT = re.compile(r"\s*\[(default: [^]]*|required)\]")
_PAGE = re.compile(r"docs/([\w/-]+\.md)")


def commands_page() -> str:
    """Every command and subcommand."""
    context = click.Context(main, info_name="sakuga")
    return page(ABOUT, *(_section(each) for each in walked(context)))


def walked(context: click.Context) -> Iterator[click.Context]:
    """A command and all below it, each with its context."""
    yield context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if (child := command.get_command(context, name)) is not None:
                yield from walked(click.Context(child, parent=context, info_name=name))


def _section(context: click.Context) -> str:
    command, path = context.command, context.command_path
    depth = path.count(" ")
    usage = command.get_usage(context).partition("Usage: ")[2]
    return page(
        f"{'#' * max(2, depth + 1)} {path} {{#{slug(path)}}}",
        _paragraphs(command.help or ""),
        f"```text\n{' '.join(usage.split())}\n```",
        _arguments(context),
        *_options(context),
        _subcommands(context),
        _paragraphs(command.epilog or ""),
    )


def _paragraphs(words: str) -> str:
    """A help text, with links to pages in place of their files."""
    paragraphs = (" ".join(part.split()) for part in words.split("\n\n"))
    return "\n\n".join(_PAGE.sub(r"[\1](../\1)", text(part)) for part in paragraphs)


def _arguments(context: click.Context) -> str:
    rows = [
        (
            code(parameter.human_readable_name),
            "any number" if parameter.nargs == -1 else "one",
            "yes" if parameter.required else "no",
        )
        for parameter in context.command.params
        if isinstance(parameter, click.Argument)
    ]
    return table(("argument", "how many", "required"), rows)


def _options(context: click.Context) -> Iterator[str]:
    """A table of the options; of an action's command one for each group of its help."""
    groups: dict[str, list[tuple[str, ...]]] = {}
    for parameter in context.command.get_params(context):
        if isinstance(parameter, click.Option) and not parameter.hidden:
            is_grouped = isinstance(context.command, ActionCommand)
            title = group_of(parameter) if is_grouped else ""
            groups.setdefault(title, []).append(_row(parameter, context))
    order = ("Files", "Size of the result", "Format of the result", "Options", "")
    for title in order:
        if rows := groups.get(title):
            made = table(("option", "value", "default", "meaning"), rows)
            yield f"**{title}**\n\n{made}" if title else made


def _row(option: click.Option, context: click.Context) -> tuple[str, ...]:
    record = option.get_help_record(context)
    words = record[1] if record else ""
    found = [each.removeprefix("default: ") for each in _DEFAULT.findall(words)]
    anchor = f"{slug(context.command_path)}{option.opts[-1].replace('--', '-')}"
    first, *others = [*option.opts, *option.secondary_opts]
    names = ", ".join([code(first, anchor), *map(code, others)])
    meaning = text(_DEFAULT.sub("", words))
    return names, _values(option, context), text("; ".join(found)) or NONE, meaning


def _values(option: click.Option, context: click.Context) -> str:
    """What an option takes; nothing for one that is only on or off."""
    kind = option.type
    if option.is_flag or option.count:
        return ""
    if isinstance(kind, click.Choice):
        return codes(map(str, kind.choices))
    if isinstance(kind, click.IntRange | click.FloatRange):
        ends = (("from", kind.min), ("to", kind.max))
        return " ".join(f"{word} {end}" for word, end in ends if end is not None)
    several = ", repeatable" if option.multiple else ""
    return code(option.make_metavar(context)) + several


def _subcommands(context: click.Context) -> str:
    command = context.command
    if not isinstance(command, click.Group):
        return ""
    rows = []
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        path = f"{context.command_path} {name}"
        summary = child.get_short_help_str(200) if child else ""
        rows.append((f"[{code(path)}](#{slug(path)})", text(summary)))
    return table(("command", "what it does"), rows)
