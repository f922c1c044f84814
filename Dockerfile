# Two images of one wheel: `client` (submits, migrates; no torch) and `worker` (computes, serves MLflow).

FROM python:3.11.13-slim-bookworm AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Named volumes take over the owner of the folder they are mounted on.
RUN useradd --create-home --uid 1000 adctl \
    && install --directory --owner=adctl --group=adctl /storage /artifacts

FROM base AS build
WORKDIR /source
COPY pyproject.toml constraints.txt build_catalogue.py README.md LICENSE ./
COPY platform platform
COPY workers workers
COPY detectors detectors
COPY cli cli
COPY migrations migrations
RUN PIP_BUILD_CONSTRAINT=constraints.txt pip wheel --no-deps --wheel-dir /wheels .

FROM base AS client
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install -c /constraints.txt "$(echo /wheels/adctl-*.whl)[postgres,s3]"
USER adctl
ENTRYPOINT ["adctl"]

FROM base AS worker
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install -c /constraints.txt "$(echo /wheels/adctl-*.whl)[worker,postgres,s3]"
USER adctl
ENTRYPOINT ["adctl"]
