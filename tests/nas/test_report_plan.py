"""The plan is printed whole: all that was fixed before the run, and nothing that was not."""

from __future__ import annotations

from dataclasses import fields

from nas.efficiency import Plan
from nas.report_plan import plan_table

WHOLE = Plan(
    single="flexconv",
    searched=("twin", "resnet"),
    defaults=("twin_3x3",),
    controls=("flexconv_fixed",),
    margin_points=2.0,
    margin_share=0.25,
    budget=21,
    development=("digits",),
    evaluation=("birds", "frogs"),
    references=(("birds", 0.021),),
    described=("tcn",),
    population=101,
    described_designs=25,
    repeats=9,
    seeds=6,
    long=22,
    transfer=4,
    search_trials=41,
    search_seeds=7,
    finalist_seeds=8,
    epochs=13,
    seed=5,
)


def test_every_field_of_a_plan_is_printed() -> None:
    rows = dict(plan_table(WHOLE, "before").rows)
    assert rows == {
        "single design": "FlexConv",
        "searched": "twin, resnet",
        "defaults": "twin_3x3",
        "controls": "flexconv_fixed",
        "described only": "tcn",
        "margin": "max(2 points, 25 % of f)",
        "budget n": "21, at most a fifth of the designs trained; no search needed at 21 only",
        "evaluation tasks": "birds, frogs",
        "development tasks": "digits",
        "population": "101 designs of each space that has several",
        "described": "25 designs of each space that is described",
        "repeats": "9 designs of the population trained a second time",
        "seeds": "6 trainings of each single design",
        "long": "22 designs of a population once more, with 4 times the epochs",
        "transfer": "4 fresh seeds for each design chosen elsewhere",
        "searches": "7 seeds for each searched space, 41 trials each",
        "finalists": "8 fresh seeds for each design that is tested",
        "epochs": "13",
        "references": "birds: 2.1 %",
        "seed of the statistics": "5",
    }
    shown = {"single", "searched", "defaults", "controls", "described", "margin_points", "margin_share"}
    shown |= {
        "budget",
        "evaluation",
        "development",
        "population",
        "described_designs",
        "repeats",
        "seeds",
        "long",
        "transfer",
    }
    shown |= {"search_seeds", "search_trials", "finalist_seeds", "epochs", "references", "seed"}
    assert shown == {field.name for field in fields(Plan)}


def test_what_was_not_planned_or_is_not_known_is_left_out() -> None:
    rows = dict(plan_table(Plan(single="flexconv", searched=()), "before").rows)
    assert list(rows) == [
        "single design",
        "searched",
        "defaults",
        "controls",
        "margin",
        "budget n",
        "evaluation tasks",
        "development tasks",
        "seed of the statistics",
    ]
    assert rows["searched"] == rows["controls"] == rows["evaluation tasks"] == "none"
    no_search = Plan(single="flexconv", searched=("twin",), search_seeds=3)
    assert "searches" not in dict(plan_table(no_search, "before").rows)
