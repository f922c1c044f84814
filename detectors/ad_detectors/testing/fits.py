"""Promises on fits: they can stop anywhere, depend on nothing else, and take any pictures."""

# The name of a test says what it tests.
# ruff: noqa: D102

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ad_detectors import checkpoint
from ad_detectors.fitting import run_fit
from ad_detectors.testing import elsewhere
from ad_detectors.testing.pictures import pictures
from ad_detectors.testing.subject import Fit, Stopped, Subject, WatchedContext, digest, stir


class FitPromises:
    """What holds of a fit, wherever and however often it was interrupted."""

    def test_it_reports_every_step_from_one_on_and_knows_the_last(self, subject: Subject) -> None:
        steps = list(subject.straight.digests)
        assert steps, "the fit reported nothing"
        assert steps == list(range(1, len(steps) + 1)), f"the reported steps are {steps}"
        assert subject.straight.ends == {len(steps)}, (
            f"the last step was announced to be {sorted(subject.straight.ends)}, and was {len(steps)}"
        )

    def test_a_fit_stopped_at_every_report_ends_as_one_never_stopped(
        self, subject: Subject, tmp_path: Path
    ) -> None:
        straight = subject.straight
        done: list[str] = []
        step = 0
        for _ in range(len(straight.digests) + 1):
            folder = tmp_path / str(step)
            detector = subject.restored(folder) if step else subject.new()
            context = WatchedContext(detector, done=done, step=step, stop_at=step + 1)
            stir(step)  # a fit may not lean on what a generator of the process happens to hold
            try:
                run_fit(detector, subject.train(), context)
            except Stopped:
                step, done = context.step, context.done
                assert context.digests[step] == straight.digests[step], f"it differs at report {step}"
                checkpoint.save(detector.state(), tmp_path / str(step))
                # Killed before the next report, it is stopped a second time where it was stopped before.
                twice = digest(subject.restored(tmp_path / str(step)).state())
                assert twice == straight.digests[step], f"restored from report {step}, its state is another"
            else:
                assert digest(detector.state()) == straight.final, "its last state differs"
                return
        raise AssertionError(f"the fit did not end after {len(straight.digests)} reports")

    def test_a_fit_stopped_twice_goes_on_in_another_process_to_the_same_bits(self, subject: Subject) -> None:
        assert elsewhere.asked(subject).final == subject.straight.final, "its last state is another"

    def test_a_fit_depends_on_config_data_and_seed_alone(self, subject: Subject) -> None:
        if _parts(subject.again) == _parts(subject.straight):
            return
        stir(2)
        why = (
            "reading ahead with workers"
            if _parts(subject.fitted()) == _parts(subject.straight)
            else ("something but config, data and ctx.seed, such as a generator of the process,")
        )
        raise AssertionError(f"{why} changes what is fitted")

    def test_stages_taken_from_a_store_give_the_same_state(self, subject: Subject) -> None:
        names = [stage.name for stage in subject.stages]
        assert list(subject.straight.stored) == names, f"the stages {names} are to be ended in this order"
        for count in range(1, len(names) + 1):
            offer = {name: subject.straight.stored[name] for name in names[:count]}
            assert subject.fitted(offer=offer).final == subject.straight.final, (
                f"with {', '.join(offer)} from a store it differs"
            )

    def test_in_halves_a_fit_makes_the_same_steps(self, subject: Subject) -> None:
        if not subject.new().divides:
            return
        whole, halved = subject.straight, subject.halved
        assert list(halved.digests) == list(whole.digests), "with batches in halves it reports other steps"
        assert halved.ends == whole.ends, "with batches in halves it announces another last step"
        shapes = [
            {key: getattr(value, "shape", type(value)) for key, value in fit.detector.state().items()}
            for fit in (whole, halved)
        ]
        assert shapes[0] == shapes[1], "with batches in halves its state has other tensors"

    def test_a_fit_leaves_the_pictures_as_they_were(self, subject: Subject) -> None:
        changed = subject.straight.data.changed()
        assert not changed, f"the fit wrote into {', '.join(changed)}"

    def test_three_pictures_are_enough(self, subject: Subject) -> None:
        _fits(subject, pictures(3, subject.config.image_size), "three pictures")

    def test_pictures_may_all_be_the_same(self, subject: Subject) -> None:
        one = pictures(1, subject.config.image_size)
        _fits(subject, one.expand(4, -1, -1, -1).contiguous(), "one picture four times")

    def test_grey_pictures_will_do(self, subject: Subject) -> None:
        grey = pictures(6, subject.config.image_size)[:, :1].expand(-1, 3, -1, -1).contiguous()
        _fits(subject, grey, "grey pictures")

    def test_pictures_need_be_neither_square_nor_of_its_size(self, subject: Subject) -> None:
        size = subject.config.image_size
        _fits(subject, pictures(6, (size - 5, size + 12)), f"pictures of {size - 5} x {size + 12} pixels")


def _parts(fit: Fit) -> tuple[object, ...]:
    return fit.final, fit.digests, {name: digest(state) for name, state in fit.stored.items()}


def _fits(subject: Subject, images: Tensor, what: str) -> None:
    scores = subject.briefly_fitted(images).score(images[:2])
    assert bool(torch.isfinite(scores.images).all()), f"fitted on {what}, it scores {scores.images.tolist()}"
    if scores.maps is not None:
        assert bool(torch.isfinite(scores.maps).all()), f"fitted on {what}, its maps are not finite"
