"""Settings are shown with their source and without their secrets; mistyped ones are noticed."""

import pytest

from ad_detectors.data import cache
from ad_platform import settings as environment
from ad_platform.addresses import shown
from ad_platform.variables import VARIABLES, in_force, mistyped


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("redis://:geheim@host:6379/0", "redis://:***@host:6379/0"),
        (
            "postgresql+psycopg://me:geheim@db/x?sslmode=require",
            "postgresql+psycopg://me:***@db/x?sslmode=require",
        ),
        ("postgresql://me@db/x?password=geheim", "postgresql://me@db/x?password=***"),
        (
            's3://bucket/x?secret="geheim"&endpoint_url="http://minio:9000"',
            's3://bucket/x?secret=***&endpoint_url="http://minio:9000"',
        ),
        ("https://a@b:geheim@host/x", "https://a@b:***@host/x"),
        ("redis://[geheim", "redis://***"),
        ("/plain/folder", "/plain/folder"),
        ("sqlite:////home/kim/store.db", "sqlite:////home/kim/store.db"),
    ],
)
def test_an_address_is_shown_without_what_is_secret_in_it(address, words):
    assert shown(address) == words


def test_every_setting_is_listed_with_its_source(tmp_path):
    environ = {"ADCTL_HOME": str(tmp_path), "ADCTL_LEASE": "60", "ADCTL_STORAGE_OPTIONS": '{"key": "geheim"}'}
    found = {each.name: each for each in in_force(environment.load(environ), environ)}

    assert (found["ADCTL_LEASE"].value, found["ADCTL_LEASE"].source) == ("60", "environment")
    assert (found["ADCTL_TICK"].value, found["ADCTL_TICK"].source) == ("5", "default")
    assert not any("geheim" in each.value for each in found.values())


def test_every_variable_of_the_settings_is_known():
    import inspect
    import re

    read = set(re.findall(r'"((?:ADCTL|MLFLOW)_[A-Z_]+)"', inspect.getsource(environment)))

    assert read
    assert read <= {each.name for each in VARIABLES}


def test_the_default_that_the_detectors_own_is_theirs():
    value = next(each for each in VARIABLES if each.name == "ADCTL_CACHE_GB").value

    assert value(environment.load({}), {}) == f"{cache.USUAL_GB:g}"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ADCTL_HOEM", "ADCTL_HOEM means nothing to adctl; did you mean ADCTL_HOME?"),
        ("adctl_data", "adctl_data means nothing to adctl; did you mean ADCTL_DATA?"),
        ("ADCTL_DB_URL", "ADCTL_DB_URL means nothing to adctl; did you mean ADCTL_DATABASE_URL?"),
        ("ADCTL_ZZZZ", "ADCTL_ZZZZ means nothing to adctl; adctl config lists those there are"),
        (
            "MLFLOW_TRACKING_URL",
            "MLFLOW_TRACKING_URL means nothing to MLflow; did you mean MLFLOW_TRACKING_URI?",
        ),
    ],
)
def test_a_mistyped_variable_is_named_with_the_nearest(name, words):
    assert mistyped({name: "x", "PATH": "/bin"}) == [words]


def test_every_real_variable_is_no_mistake():
    assert mistyped(dict.fromkeys([each.name for each in VARIABLES] + ["ADCTL_STACK"], "x")) == []
