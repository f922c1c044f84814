"""Tries out CUDA cards in a process of its own: a worker has no torch, and its zygote must not start CUDA.

Run as `python -m ad_workers.card_trial` with the cards in CUDA_VISIBLE_DEVICES; prints JSON.
"""

import json
import os

import torch

BUSY = ("out of memory", "busy or unavailable")  # somebody else uses it now, which says nothing of later


def main() -> None:
    """Compute a little on every visible card and print a list of what went wrong with each."""
    count = len(os.environ["CUDA_VISIBLE_DEVICES"].split(","))
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
        seen = torch.cuda.device_count()
    except (RuntimeError, AssertionError) as error:
        problems = [_line(error)] * count
    else:
        problems = [_try(index) if index < seen else "torch does not see it" for index in range(count)]
    print(json.dumps(problems))  # noqa: T201 - the answer to whoever started this


def _try(index: int) -> str:
    try:
        # A kernel of torch's own: a card too old or too new for this build has none.
        torch.ones(2, device=f"cuda:{index}").add_(1).sum().item()
    except RuntimeError as error:
        line = _line(error)
        return "" if any(words in line for words in BUSY) else line
    return ""


def _line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


if __name__ == "__main__":
    main()
