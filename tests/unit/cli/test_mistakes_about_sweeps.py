"""Mistakes about sweeps: what is searched, by what, for what, and what has happened to them already."""

import pytest

from mistakes import Desk, Mistake, m

SWEEP = "submit sweep -m toy --data {screw}"


def space(text: str):
    """Put a file with a space where the call is made."""

    def before(desk: Desk) -> None:
        (desk.images / "space.toml").write_text(text)

    return before


def good_only(desk: Desk) -> None:
    """Leave nothing to test on."""
    for file in sorted((desk.images / "parts" / "screw" / "test").rglob("*.png")):
        file.unlink()


ASKED = [
    # What is searched.
    m(f"{SWEEP} --param lr", 2, "NAME=a:b", "'lr'"),
    m(f"{SWEEP} --param lr=", 2, "NAME=a:b", "'lr='"),
    m(f"{SWEEP} --param =0:1", 2, "NAME=a:b"),
    m(f"{SWEEP} --param lrr=0.1:0.5", 2, "lrr", "did you mean lr?"),
    m(f"{SWEEP} --param lr=0.5:0.1", 2, "lr=0.5:0.1 is empty", "begin below its end"),
    m(f"{SWEEP} --param lr=0.1:0.1", 2, "lr=0.1:0.1 is empty"),
    m(f"{SWEEP} --param lr=0.1", 2, "lr=0.1 is one value", "-S lr=0.1"),
    m(f"{SWEEP} --param lr=low:high", 2, "'low' is no number"),
    m(f"{SWEEP} --param lr=0.1:inf", 2, "lr", "inf"),
    m(f"{SWEEP} --param lr=0.1:7", 2, "lr", "7", "1"),
    m(f"{SWEEP} --param lr=0:0.5:log", 2, "lr=0:0.5:log must begin above 0"),
    m(f"{SWEEP} --param lr=0.1:0.5:linear", 2, "'linear' is no number"),
    m(f"{SWEEP} --param lr=0.1:0.5:2", 2, "the step 2 must be above 0 and fit"),
    m(f"{SWEEP} --param lr=0.1:0.5:-0.1", 2, "the step -0.1"),
    m(f"{SWEEP} --param lr=1:2:3:4", 2, "lr=1:2:3:4 cannot be read", "a:b:step"),
    m(f"{SWEEP} --param image_size=16:32.5", 2, "image_size", "32.5", "whole numbers"),
    m(f"{SWEEP} --param image_size=4:64", 2, "image_size", "8", "4"),
    m(f"{SWEEP} --param mode=0:1", 2, "mode", "x,y,z"),
    m(f"{SWEEP} --param mode=mean,meen", 2, "mode", "meen", "did you mean mean"),
    m(f"{SWEEP} --param mode=mean,mean", 2, "mode", "twice"),
    m(f"{SWEEP} --param layers=1,2", 2, "layers is itself a list", "--space FILE"),
    m(f"{SWEEP} --param lr=0.1:0.5 --param lr=0.2:0.3", 2, "lr", "given twice"),
    m(f"{SWEEP} --space {{missing}}", 2, "missing"),
    m(f"{SWEEP} --space {{images}}", 2, "images"),
    m(f"{SWEEP} --space space.toml", 2, "space.toml is no TOML", before=space("lr = [0.1\n")),
    m(f"{SWEEP} --space space.toml", 2, "space.toml names no setting", before=space("")),
    m(f"{SWEEP} --space space.toml", 2, "space.toml", "lrr", before=space('lrr = "0.1:0.5"\n')),
    m(f"{SWEEP} --space space.toml", 2, "space.toml", "low", before=space("lr = {high = 0.5}\n")),
    m(f"{SWEEP} --space space.toml", 2, "space.toml", "lr", before=space("lr = {from = 1, to = 2}\n")),
    m(f"{SWEEP} --space space.toml", 2, "space.toml", "choices", before=space("mode = {choices = 3}\n")),
    # By what.
    m(f"{SWEEP} --sampler tpee", 2, "tpee", "did you mean tpe?"),
    m(f"{SWEEP} --sampler tpe:n_startup_trails=3", 2, "n_startup_trails", "did you mean n_startup_trials?"),
    m(f"{SWEEP} --sampler tpe:n_startup_trials", 2, "tpe:NAME=VALUE", "'n_startup_trials'"),
    m(f"{SWEEP} --sampler tpe:n_startup_trials=-1", 2, "n_startup_trials", "-1"),
    m(f"{SWEEP} --sampler qmc:qmc_type=sobel", 2, "sobel", "did you mean sobol?"),
    m(f"{SWEEP} --sampler grid", 2, "a grid needs steps", "lr=1e-05:0.1:log", "a:b:step"),
    m(f"{SWEEP} --sampler cmaes --param mode=mean,median", 2, "cmaes searches numbers", "tpe"),
    m(f"{SWEEP} --pruner medain", 2, "medain", "did you mean median?"),
    m(f"{SWEEP} --pruner asha:reduction_factor=1", 2, "reduction_factor", "from 2", "'1'"),
    m(f"{SWEEP} --seeds 0", 2, "--seeds", "from 1 to 100", "0"),
    m(f"{SWEEP} --seeds some", 2, "--seeds", "'some' is not a whole number"),
    m(f"{SWEEP} --trials 0", 2, "--trials", "from 1", "0"),
    m(f"{SWEEP} --parallel 0", 2, "--parallel", "from 1", "0"),
    m(f"{SWEEP} --sampler-seed -1", 2, "--sampler-seed", "-1"),
    # For what.
    m(f"{SWEEP} --objective image_auroc", 2, "image_auroc", "validation/image_auroc"),
    m(f"{SWEEP} --objective test/image_auroc:up", 2, "NAME:max or NAME:min", "test/image_auroc:up"),
    m(f"{SWEEP} --objective latency_ms --objective latency_ms:max", 2, "latency_ms is given twice"),
    m(
        f"{SWEEP} --objective latency_ms --objective validation/image_auroc --pruner median",
        2,
        "2 objectives cannot be pruned",
        "--pruner none",
    ),
    m(
        f"{SWEEP} --objective latency_ms --objective validation/image_auroc --sampler cmaes",
        2,
        "cmaes takes one objective",
        "tpe",
    ),
    m(f"{SWEEP} --holdout none", 2, "validation/image_auroc needs normal images held out", "--holdout 10/10"),
    m(f"{SWEEP} --objective test/image_auroc", 2, "needs test images", "parts/screw", before=good_only),
    # Whatever else a submit may be mistaken in.
    m("submit sweep --data {screw}", 2, "--model NAME", "toy"),
    m("submit sweep -m toi --data {screw}", 2, "toi", "did you mean toy?"),
    m("submit sweep -m toy", 2, "--data DIR", "--category NAME"),
    m("submit sweep -m toy --data {missing}", 2, "missing"),
    m(f"{SWEEP} -S lrr=1", 2, "lrr", "did you mean lr?"),
    m(f"{SWEEP} --device gpu", 2, "device", "'gpu'"),
    m(f"{SWEEP} --queue 'a b'", 2, "queue", "'a b'"),
    m(f"{SWEEP} --tag selected_on=luck", 2, "selected_on", "set by the sweep itself"),
    m(f"{SWEEP} --name night", 3, "a sweep named 'night' already", "--name"),
    m(f"{SWEEP} --name 'a b'", 2, "'a b'", "letters, digits"),
    m(f"{SWEEP} --name @last", 2, "'@last'"),
    m(f"{SWEEP} --warm-start nihgt", 2, "nihgt", "did you mean night?"),
    m(f"{SWEEP} --warm-start night --param lr=0.1:0.5", 2, "sweep night searched", "say nothing here"),
    m(f"{SWEEP} --group g", 2, "no such option: --group"),
    m("submit sweep --from {job} --config {file}", 2, "--from", "--config"),
    m("submit --param lr=0.1:0.5 sweep -m toy", 2, "--param", "submit COMMAND"),
]
STEERED = [
    m("sweep", 2, "needs a command", "pause"),
    m("sweep shwo night", 2, "adctl sweep shwo", "did you mean show?"),
    m("sweep show", 2, "SWEEP", "is missing"),
    m("sweep show nihgt", 2, "no sweep named 'nihgt'", "did you mean night?"),
    m("sweep show 5555", 2, "'5555' fits several sweeps", "night", "two"),
    m("sweep show {job}", 2, "no sweep named 'aaaa000000000001'"),
    m("sweep trials night --sort colour", 2, "colour", "number"),
    m("sweep trials night --sort imagesize", 2, "did you mean image_size?"),
    m("sweep trials night --state done", 2, "'done'", "complete"),
    m("sweep trials night -n 0", 2, "--limit", "0"),
    m("sweep list --state ended", 2, "'ended'", "finished"),
    m("sweep watch nihgt", 2, "nihgt"),
    m("sweep best held", 3, "no trial of sweep held has completed", "adctl why held"),
    m("sweep pause gone", 3, "gone is stopped"),
    m("sweep pause two", 3, "two is finished"),
    m("sweep resume two", 3, "two has finished", "adctl sweep extend two --trials N"),
    m("sweep extend night", 2, "--trials N", "--parallel N"),
    m("sweep extend night --trials -3", 2, "--trials", "-3"),
    m("sweep extend night --parallel 0", 2, "--parallel", "0"),
    m("sweep stop gone", 3, "gone is stopped already"),
    m("sweep stop two", 3, "two is finished already"),
    m("sweep clone night --name two", 3, "a sweep named 'two' already"),
    m("sweep clone nihgt", 2, "nihgt", "did you mean night?"),
    m("cancel gone", 3, "gone is stopped already"),
    m("cancel two", 3, "two is finished already"),
    m("cancel nihgt", 2, "no job, sweep or benchmark named 'nihgt'", "did you mean night?"),
    m("retry two", 3, "two has no failed trial"),
    m("retry {trial}", 3, "trial 1 of sweep night", "adctl retry night"),
    m("retry night {failed} --wait", 2, "night is a sweep", "by itself"),
    m("promote night", 2, "night is a sweep", "adctl promote night --best"),
    m("promote night --best", 3, "night has not finished", "adctl sweep watch night"),
    m("promote held --best", 3, "held has no complete trial"),
    m("promote two --best", 3, "two has not finished"),
    m("promote {job} --best", 2, "aaaa000000000001 is a job", "leave --best out"),
    m("promote night --best nonsense", 3, "no model of night is evaluated yet"),
    m("promote night --best --category screw", 2, "sweep night has one category"),
    m("promote nigth --best", 2, "nigth", "did you mean night?"),
    m("promote {trial}", 2, "7777000000000002 is a trial", "no model", "adctl promote night --best"),
    m("show night --config", 2, "night is a sweep", "adctl sweep best night"),
    m("watch night {job}", 2, "night is a sweep", "adctl sweep watch night"),
    m("why nihgt", 2, "nihgt", "did you mean night?"),
    m("submit train --from night", 2, "night is a sweep", "adctl sweep best night"),
    m("submit evaluate night", 2, "night is a sweep"),
]


@pytest.mark.parametrize("row", ASKED, ids=lambda row: row.call)
def test_a_mistake_in_what_is_asked_of_a_sweep_changes_nothing(row: Mistake, mistaken) -> None:
    mistaken(row)


@pytest.mark.parametrize("row", STEERED, ids=lambda row: row.call)
def test_a_mistake_about_a_sweep_changes_nothing(row: Mistake, mistaken) -> None:
    mistaken(row)


def test_every_row_of_the_tables_is_another_mistake() -> None:
    calls = [(row.call, row.says) for row in (*ASKED, *STEERED)]

    assert len(set(calls)) == len(calls) > 30
