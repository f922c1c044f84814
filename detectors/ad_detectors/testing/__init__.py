"""The contract every detector keeps, as a class of tests: point `subject` at a detector.

>>> @pytest.fixture(scope="module")
... def subject(): return Subject.of("mine")
>>> class TestMine(DetectorContract): ...
"""

from ad_detectors.testing.contract import DetectorContract
from ad_detectors.testing.pictures import MemoryImages, pictures, with_defect
from ad_detectors.testing.subject import Subject, WatchedContext, digest

__all__ = [
    "DetectorContract",
    "MemoryImages",
    "Subject",
    "WatchedContext",
    "digest",
    "pictures",
    "with_defect",
]
