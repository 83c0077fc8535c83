"""Configurations: what --set takes, what is refused and how it is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from nas.comparison import plan_of
from nas.config import SearchConfig, override
from nas.presets import PRESETS, load
from nas.run_directory import RunDirectory, RunInfo, RunTask
from search_spaces.space import TaskShape
from tests.nas.runs import begun
from trials.plain import dumps, from_plain
from trials.recipe import Recipe
from trials.reference import as_task


@pytest.mark.parametrize("name", PRESETS)
def test_presets_round_trip_and_name_things_that_exist(name: str) -> None:
    config = load(name)
    assert from_plain(SearchConfig, json.loads(dumps(config))) == config
    assert isinstance(config.the_recipe(), Recipe)
    assert config.name == name


def test_any_field_can_be_set() -> None:
    config = override(
        load("smoke"),
        ["population=7", "tasks=a, b", "epochs=none", "sampler=random", "margin_share=0.2", "rows=100"],
    )
    limits = ("parameters <= 1e6", "multiply_adds >= 2e5")
    assert override(config, [f"constraints={','.join(limits)}"]).constraints == limits
    assert (config.population, config.tasks, config.epochs) == (7, ("a", "b"), None)
    assert (config.sampler, config.margin_share, config.rows) == ("random", 0.2, 100)


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        ("digits@rows=200,resolution=4,mnist5k", ("digits@rows=200,resolution=4", "mnist5k")),
        ("digits@rows=200, resolution=4, mnist5k", ("digits@rows=200,resolution=4", "mnist5k")),
        ("a,b@augment=crop+flip,split=2,c@rows=9", ("a", "b@augment=crop+flip,split=2", "c@rows=9")),
        ("s3://me@b/x@rows=5,/data/lang=en,my.py:f", ("s3://me@b/x@rows=5", "/data/lang=en", "my.py:f")),
        ("digits,rows=200", ("digits", "rows=200")),  # no sizes to continue: the second is looked up
    ],
)
def test_commas_within_the_sizes_of_a_task_belong_to_it(text: str, tasks: tuple[str, ...]) -> None:
    assert override(load("smoke"), [f"tasks={text}"]).tasks == tasks


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("population", "field=value"),
        ("popluation=3", "no field 'popluation'; it has name, tasks"),
        ("population=many", "expected int, got 'many'"),
        ("population=0", "population must be at least 1, got 0"),
        ("sampler=grid", "expected tpe, random or nsga2, got 'grid'"),
        ("second=energy", "expected multiply_adds or latency, got 'energy'"),
        ("stopping=hyperband", "expected asha, median or none, got 'hyperband'"),
        ("max_trials=0", "max_trials must be at least 1, or none, got 0"),
        ("max_hours=nan", "max_hours must be positive and finite, or none, got nan"),
        ("max_device_hours=-1", "max_device_hours must be positive and finite, or none, got -1"),
        ("checkpoint_gb=0", "checkpoint_gb must be positive and finite, got 0"),
        ("tasks=", "at least one task"),
        ("tasks=digits,digits", "tasks must differ"),
        ("defaults=twin", "must differ"),
        (
            "controls=twin_matched,flexconv",
            "spaces, defaults, controls and described must differ, got flexconv",
        ),
        ("transfer=-1", "transfer must not be negative, got -1"),
        ("development=mnist5k", "development must name some of digits, digits_sequence, got mnist5k"),
        ("references=digits", "references: expected task:error,task:error, got 'digits'"),
        ("references=digits:low", "references: expected task:error,task:error, got 'digits:low'"),
        ("references=digits:1.5", "references must be pairs of a task and an error in [0, 1)"),
        ("references=digits:nan", "references must be pairs of a task and an error in [0, 1)"),
        ("references=digits:0.1,digits:0.2", "references must name each task once"),
        ("references=mnist5k:0.1", "references must name some of digits, digits_sequence, got mnist5k"),
        ("references=digits@rows=200:0.1", "some of digits, digits_sequence, got digits@rows=200"),
        ("references=digits@split=1:0.1", "some of digits, digits_sequence, got digits@split=1"),
        ("controls=nope", "unknown control 'nope'; there are: "),
        ("controls=twin_learnt", "did you mean 'twin_learned'"),
        ("rows=3", "rows must be at least 20"),
        ("constraints=size <= 3", "a constraint is parameters or multiply_adds"),
    ],
)
def test_wrong_settings_say_the_rule_and_the_value(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        override(load("smoke"), [assignment])


def test_references_and_development_tasks_are_named_as_tasks_are() -> None:
    config = override(
        load("smoke"),
        [
            "tasks=digits@rows=200,resolution=4,digits_sequence",
            "references=digits@rows=200,resolution=4:0.01, digits_sequence:0",
            "development=digits@rows=200,resolution=4",
        ],
    )
    assert config.references == (("digits@rows=200,resolution=4", 0.01), ("digits_sequence", 0.0))
    assert [config.tuned_on(task) for task in config.the_tasks()] == [True, False]
    whole = override(config, ["development=digits", "references=", "rows=100"])
    assert [whole.tuned_on(task) for task in whole.the_tasks()] == [True, False]


def test_the_plan_of_a_run_says_who_judges_and_at_what_budgets(tmp_path: Path) -> None:
    config = override(
        load("mnist5k"),
        [
            "tasks=mnist5k,data/birds,data/frogs@rows=500",
            "development=data/frogs",
            "references=birds:0.02",
            "search_trials=0",
        ],
    )
    plan = plan_of(begun(tmp_path, config), ())
    assert (plan.development, plan.evaluation) == (("mnist5k", "frogs@rows=500"), ("birds",))
    assert plan.controls == ("twin_matched", "flexconv_fixed", "twin_learned")
    assert plan.references == (("birds", 0.02),)
    assert (plan.population, plan.repeats, plan.seeds, plan.long, plan.transfer) == (100, 8, 5, 20, 3)
    assert (plan.search_trials, plan.search_seeds, plan.finalist_seeds, plan.epochs) == (0, 0, 3, 20)


def test_who_judges_is_read_from_the_run_and_worked_out_where_it_was_not_written(tmp_path: Path) -> None:
    """What counts as a development task may change in a later version; a run's plan does not."""
    config = override(load("smoke"), ["tasks=digits,mnist5k", "development="])

    def info(*names: str, **written: tuple[str, ...]) -> RunInfo:
        shape = TaskShape(extent=(8, 8), channels=1, classes=10)
        tasks = tuple(
            RunTask(task=as_task(name), shape=shape, mean=(0.0,), std=(1.0,), digest=name) for name in names
        )
        return RunInfo(
            id="0",
            created=0.0,
            version="0",
            tracking_uri=None,
            recipe=config.the_recipe(),
            tasks=tasks,
            spaces=(),
            **written,
        )

    directory = RunDirectory(tmp_path)
    directory.put("config.json", dumps(config))
    for began, expected in (
        (info("digits", "birds", development=("birds",), evaluation=("digits",)), (("birds",), ("digits",))),
        (info("digits", "birds"), (("digits",), ("birds",))),
    ):
        directory.put("run.json", dumps(began))
        plan = plan_of(directory, (began,))
        assert (plan.development, plan.evaluation) == expected
    old = json.loads(dumps(began))
    del old["development"], old["evaluation"]
    directory.put("run.json", json.dumps(old))
    assert directory.info() == began
    new = ("digits@rows=50", "bees")
    added = info("wasps", *new, development=("wasps",), evaluation=new)
    plan = plan_of(directory, (began, added))
    assert (plan.development, plan.evaluation) == (("digits", "wasps"), ("birds",))


def test_controls_made_from_what_is_learned_are_told_from_those_that_are_not() -> None:
    config = load("mnist5k")
    assert config.controls == ("twin_matched", "flexconv_fixed", "twin_learned")
    assert config.following == ("twin_matched", "twin_learned")
    assert config.all_spaces == ("flexconv", "twin", "twin_3x3", "twin_7x7", *config.controls)
    assert override(config, ["controls="]).all_spaces == config.all_spaces[:4]


def test_a_configuration_of_ones_own(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text(
        "from nas import SearchConfig\n"
        "def small():\n    return SearchConfig(name='mine', tasks=('digits',))\n"
        "def wrong():\n    return 3\n"
    )
    assert load(f"{source}:small").name == "mine"
    with pytest.raises(ValueError, match=r"must return a nas\.SearchConfig, got a int"):
        load(f"{source}:wrong")
    with pytest.raises(ValueError, match=r"has no 'large'; it has .*small"):
        load(f"{source}:large")


def test_a_reference_may_name_a_task_with_or_without_the_seed_of_its_split() -> None:
    given = (("digits", 0.1), ("digits@split=1", 0.2), ("mnist5k", 0.1), ("mnist5k@split=3", 0.1))
    config = SearchConfig(name="own", tasks=("digits", "mnist5k@split=3"), splits=2, references=given)
    assert config.references == given


def test_controls_that_are_made_from_what_is_learned_are_among_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"there are: .*twin_matched.*twin_learned"):
        SearchConfig(name="own", tasks=("digits",), controls=("nope",))


def test_a_development_task_marks_no_other_form_of_its_dataset() -> None:
    config = SearchConfig(name="own", tasks=("digits@rows=200", "digits_sequence"), development=("digits",))
    assert [config.tuned_on(task) for task in config.the_tasks()] == [True, False]


def test_a_preset_whose_function_fails_is_one_line(tmp_path: Path) -> None:
    source = tmp_path / "mine.py"
    source.write_text("def broken():\n    return {}['no such key']\n")
    with pytest.raises(ValueError, match=r"preset '.*mine.py:broken' fails when it is called: KeyError: 'no"):
        load(f"{source}:broken")
