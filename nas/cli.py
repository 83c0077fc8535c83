"""The command `nas`. Frameworks are imported by the command that needs them, so that help is quick."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from nas.interrupt import EXIT_CODES

if TYPE_CHECKING:
    from rich.console import Console

WAYS_ON = {
    "budget": "more can be allowed with a larger one: the same command",
    "stopped": "go on with the same command",
    "interrupted": "go on with the same command",
    "preempted": "go on with the same command",
}
FOLDER = click.Path(path_type=Path)


class Share(click.FloatRange):
    """A share in [0, 1], or ``auto``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value == "auto" else super().convert(value, param, ctx)


@click.group(context_settings={"help_option_names": ["--help"], "max_content_width": 110})
def app() -> None:
    """Must I search for an architecture, or is one FlexConv design enough? Measured on your data."""


@app.command()
@click.argument("config")
@click.option("--run-dir", metavar="DIR", help="A folder, or s3://... or gs://...  [default: runs/NAME]")
@click.option("--resume", is_flag=True, help="Continue what is there; an empty directory is started.")
@click.option(
    "--tasks", metavar="a,b", help="Names, Parquet files, module:attribute, file.py:name; name@rows=500."
)
@click.option("--spaces", metavar="x,y", help="Names, module:attribute, file.py:name, export folders.")
@click.option("--address", metavar="ADDR", help="Of a running Ray cluster.  [default: this machine]")
@click.option(
    "--gpus-per-trial",
    metavar="X",
    type=Share(0, 1),
    help="Share of an accelerator; auto: by measured memory.  [default: a whole one]",
)
@click.option(
    "--tracking-uri", metavar="URI", help="MLflow's.  [default: $MLFLOW_TRACKING_URI, else in the run]"
)
@click.option(
    "--set", "settings", metavar="FIELD=VALUE", multiple=True, help="Any field of the configuration."
)
def run(
    config: str,
    run_dir: str | None,
    resume: bool,
    tasks: str | None,
    spaces: str | None,
    address: str | None,
    gpus_per_trial: float | Literal["auto"] | None,
    tracking_uri: str | None,
    settings: tuple[str, ...],
) -> None:
    """Train, compare, write the report.

    Populations, searches and finalists of every task and space, over a Ray cluster. CONFIG is a preset's
    name, or file.py:function returning a nas.SearchConfig.
    """
    from nas.config import override
    from nas.presets import load

    named = [f"{field}={text}" for field, text in (("tasks", tasks), ("spaces", spaces)) if text is not None]
    chosen = override(load(config), [*named, *settings])

    from nas.report import terminal_table
    from nas.running import run as run_config

    console = _console()
    result = run_config(
        chosen,
        run_dir=run_dir,
        resume=resume,
        address=address,
        gpus_per_trial=gpus_per_trial,
        tracking_uri=tracking_uri,
        console=console,
    )
    console.print(terminal_table(result.comparison))
    click.echo(f"report:        {result.report}")
    click.echo(f"run directory: {result.path}")
    click.echo(f"MLflow:        nas show {result.path} --ui   ({result.tracking_uri})")
    if result.overhead is not None:
        click.echo(f"overhead:      {result.overhead:.3f} s a trial, per slot (median)")
    ended = result.ended
    if ended is None:
        click.echo(f"another process runs {result.path}; nas show {result.path} says how far it is")
        return
    if ended.how != "finished":
        click.echo(f"ended: {ended.how}{f' ({ended.reason})' if ended.reason else ''}")
        click.echo(f"{WAYS_ON[ended.how]}, --run-dir {result.path} and --resume")
    sys.exit(EXIT_CODES.get(ended.how, 0))


@app.command()
@click.argument("run_dir")
@click.argument("trial", required=False)
def stop(run_dir: str, trial: str | None) -> None:
    """Stop a run that another process runs, or cancel one trial of it.

    Running trials save themselves where they can, and the report is written; nas run with --resume goes on.
    A cancelled TRIAL fails, with that as its reason, and is not run again.
    """
    from nas.steering import stop as stop_run

    click.echo(stop_run(run_dir, trial))


@app.command()
@click.argument("run_dirs", metavar="RUN_DIR...", nargs=-1, required=True)
def compare(run_dirs: tuple[str, ...]) -> None:
    """Measure and report again from the records.

    Also of a run that is still going. The first directory's plan decides, and it gets the report; further
    ones add records.
    """
    from nas.comparison import write_report
    from nas.report import terminal_table
    from nas.run_directory import open_run

    directories = [open_run(each) for each in run_dirs]
    written = write_report(directories)
    _console().print(terminal_table(written.comparison))
    if written.unfinished:
        click.echo(written.unfinished)
    click.echo(f"report: {directories[0]}/report.html")


@app.command()
@click.argument("run_dir", required=False)
@click.argument("trial", required=False)
@click.option("--ui", is_flag=True, help="Start MLflow's UI on loopback over the run's store.")
@click.option("--rebuild", is_flag=True, help="Fill an MLflow store from the records; twice adds nothing.")
@click.option("--tracking-uri", metavar="URI", help="Of the store to fill.  [default: that of the run]")
def show(run_dir: str | None, trial: str | None, ui: bool, rebuild: bool, tracking_uri: str | None) -> None:
    """Show a run's state and its best trials, or one trial.

    Without RUN_DIR, of the newest run in runs/. Of a TRIAL: design, curve, where it ran, why it failed, the
    last lines of its log.
    """
    from nas.showing import newest_run, state_of, trials_table

    path, console = run_dir or newest_run(), _console()
    if tracking_uri is not None and not rebuild:
        raise click.UsageError("--tracking-uri names the store that --rebuild fills.")
    if rebuild:
        from nas.rebuilding import rebuild_into

        click.echo(rebuild_into(path, tracking_uri, click.echo))
        return
    if trial is not None:
        from nas.showing_trial import one_trial

        console.print(one_trial(path, trial))
        return
    console.print(state_of(path))
    console.print(trials_table(path))
    if ui:
        from nas.mlflow_ui import serve

        serve(path, click.echo)


@app.command()
@click.argument("run_dir")
@click.option("--task", metavar="T", help="A task's name in the records.  [default: the run's only one]")
@click.option("--space", metavar="S", help="A space's name in the records.  [default: the run's only one]")
@click.option(
    "--by",
    type=click.Choice(["error", "multiply-adds", "latency"]),
    default="error",
    help="What the finalist has least of.  [default: select error]",
)
@click.option("--to", metavar="DIR", type=FOLDER, help="The folder to make.  [default: the trial's name]")
@click.option(
    "--resolution",
    metavar="N",
    type=click.IntRange(min=1),
    help="Samples along every axis instead of those of training; of networks with learned kernel sizes.",
)
@click.option(
    "--crop",
    metavar="X",
    type=click.FloatRange(0, 1, max_open=True),
    default=0.0,
    help="Share of a learned kernel's norm that may be left out, such as 0.01.",
)
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(["fp16", "bf16", "int8"]),
    multiple=True,
    help="A further ONNX file of fewer bits; repeatable.",
)
@click.option("--register", metavar="NAME", help="Also as a version of this model in MLflow's registry.")
@click.option("--pareto", is_flag=True, help="Every finalist that none beats in error and multiply-adds.")
def export(
    run_dir: str,
    task: str | None,
    space: str | None,
    by: Literal["error", "multiply-adds", "latency"],
    to: Path | None,
    resolution: int | None,
    crop: float,
    precisions: tuple[str, ...],
    register: str | None,
    pareto: bool,
) -> None:
    """Take the best network away.

    Of the finalists of one task and one space the best: safetensors and JSON, .pt2, ONNX, examples, a card,
    and a script that needs numpy and onnxruntime alone. Every file is loaded again in a fresh process and
    compared with the live network.
    """
    from nas.exporting import export as export_network
    from nas.exporting import export_front

    if pareto and (by != "error" or register):
        raise click.UsageError("--pareto takes the whole front; leave --by and --register out.")
    how: dict[str, Any] = {"resolution": resolution, "crop": crop, "precisions": precisions}
    done = (
        export_front(run_dir, task=task, space=space, to=to, **how)
        if pareto
        else (export_network(run_dir, task=task, space=space, to=to, by=by, register=register, **how),)
    )
    for each in done:
        error = 100 * each.test_error
        click.echo(f"{each.path}: {each.trial}, {each.parameters:,} parameters, test error {error:.1f} %")
        if resolution is not None:
            click.echo(f"at {resolution} samples: error {100 * each.error:.1f} % on {each.rows} report rows")
    worst = max(each.difference for each in done)
    click.echo(f"reloaded and compared: largest difference {worst:.1e} of the largest logit")
    for each in done:
        if each.registered:
            click.echo(f"registered: {each.registered}")
    if pareto:
        click.echo(f"table: {done[0].path.parent / 'front.md'}")


@app.command()
@click.argument("name", metavar="NAME_OR_PATH", required=False)
@click.option("--baseline", is_flag=True, help="Fit what needs no network, such as extra trees, as well.")
def tasks(name: str | None, baseline: bool) -> None:
    """List tasks, or describe one.

    NAME_OR_PATH is a task as in --tasks of nas run, such as digits@rows=500: its columns, shape, classes,
    splits, rows that are in two splits, and what to know of it.
    """
    from nas.showing import one_task, task_list

    console = _console()
    if name is None and baseline:
        raise click.UsageError("--baseline needs a task, as in nas tasks digits --baseline.")
    console.print(task_list() if name is None else one_task(name, console, baseline))


@app.command()
@click.argument("name", required=False)
@click.option("--shape", metavar="CxN", help="Channels and extent, such as 3x32x32.  [default: examples]")
def spaces(name: str | None, shape: str | None) -> None:
    """List spaces, or describe one.

    Designs, bits and the range of parameters; of one space its choices, and what an example costs.
    """
    from nas.showing import one_space, parse_shape, space_list

    on = None if shape is None else parse_shape(shape)
    _console().print(space_list(on) if name is None else one_space(name, on))


def _console() -> Console:
    """Standard output; wide where it is no terminal, so that tables in a log do not fold."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)


def _explain(error: click.UsageError) -> str:
    """The message of a wrong call, with the commands or flags that exist."""
    command = error.ctx.command if error.ctx is not None else app
    if isinstance(error, click.NoSuchOption):
        flags = [flag for param in command.params for flag in param.opts if flag.startswith("--")]
        path = error.ctx.command_path if error.ctx is not None else "nas"
        return f"unknown flag {error.option_name}; {path} has {', '.join([*flags, '--help'])}"
    if isinstance(command, click.Group):
        return f"{error.format_message()} There are: {', '.join(command.commands)}"
    return error.format_message()


def main() -> None:
    """Entry point: exit code 2 and one line for what the user can mend, 130 for an interrupt."""
    sys.path.append(str(Path.cwd()))  # module:attribute of the user's own code
    try:
        app.main(prog_name="nas", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except click.UsageError as error:
        click.echo(f"nas: {_explain(error)}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):  # which is a RuntimeError
        click.echo("nas: interrupted", err=True)
        sys.exit(130)
    except (ValueError, OSError) as error:
        click.echo(f"nas: {error}", err=True)
        sys.exit(2)
    except RuntimeError as error:
        click.echo(f"nas: {error}", err=True)
        sys.exit(1)
