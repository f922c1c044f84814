"""How options for the storage's filesystem reach it from the environment."""

import pytest

from ad_platform import settings
from ad_platform.errors import InvalidValue
from ad_platform.storage.engine import _options


def test_storage_options_of_the_environment_arrive_with_their_types() -> None:
    options = '{"endpoint_url": "http://minio:9000", "anon": true, "client_kwargs": {"verify": false}}'
    url = settings.load(
        {"ADCTL_STORAGE_URL": "s3://bucket/x", "ADCTL_STORAGE_OPTIONS": options},
    ).storage_url
    address, _, query = url.partition("?")
    assert address == "s3://bucket/x"
    assert _options(query) == {
        "endpoint_url": "http://minio:9000",
        "anon": True,
        "client_kwargs": {"verify": False},
    }


def test_storage_options_join_those_of_the_url() -> None:
    env = {"ADCTL_STORAGE_URL": "s3://b?key=me", "ADCTL_STORAGE_OPTIONS": '{"anon": false}'}
    assert _options(settings.load(env).storage_url.partition("?")[2]) == {"key": "me", "anon": False}


@pytest.mark.parametrize("text", ["{", "[]", "3"])
def test_storage_options_that_are_no_object_are_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="ADCTL_STORAGE_OPTIONS must be a JSON object"):
        settings.load({"ADCTL_STORAGE_OPTIONS": text})
