# syntax=docker/dockerfile:1.17
# Images of one wheel: `client` (submits, migrates), `worker-cpu` and `worker-gpu` (compute), and `mlflow`
# (serves MLflow, Optuna's dashboard and Flower). Only the workers have torch.

FROM python:3.11.13-slim-bookworm AS base
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# Named volumes take over the owner of the folder they are mounted on.
RUN groupadd --gid 1000 adctl && useradd --create-home --uid 1000 --gid 1000 adctl \
    && install --directory --owner=adctl --group=adctl /storage /artifacts
WORKDIR /home/adctl

# From the sources, or from a wheel that lies beside this file.
FROM base AS build
WORKDIR /source
COPY . .
RUN if [ -f pyproject.toml ]; \
    then PIP_BUILD_CONSTRAINT=constraints.txt pip wheel --no-deps --wheel-dir /wheels .; \
    else install --directory /wheels && cp adctl-*.whl /wheels/; fi

FROM base AS client
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install -c /constraints.txt "$(echo /wheels/adctl-*.whl)[postgres,s3]"
USER 1000:1000
HEALTHCHECK --interval=60s --timeout=20s --start-period=30s CMD ["adctl", "db", "check", "--quiet"]
ENTRYPOINT ["adctl"]

# torch as its own index builds it for the CPU: a twentieth of the size. The versions are constraints.txt's.
FROM base AS worker-cpu
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    torch="$(sed -n 's/^torch==//p' /constraints.txt)" \
    && vision="$(sed -n 's/^torchvision==//p' /constraints.txt)" \
    && pip install --extra-index-url "$TORCH_INDEX" -c /constraints.txt "torch==${torch}+cpu" "torchvision==${vision}+cpu" \
    && python -c "import torch, torchvision; assert torch.version.cuda is None"
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install -c /constraints.txt "$(echo /wheels/adctl-*.whl)[worker,postgres,s3]"
USER 1000:1000
HEALTHCHECK --interval=60s --timeout=20s --start-period=120s \
    CMD ["sh", "-c", "adctl worker list --json | grep -qwF $(hostname)"]
ENTRYPOINT ["adctl"]

# torch with CUDA, in a layer of its own that a new adctl does not change; the driver is the host's.
FROM base AS worker-gpu
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
RUN --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install -c /constraints.txt torch torchvision \
    && python -c "import torch, torchvision; assert torch.version.cuda is not None"
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install -c /constraints.txt "$(echo /wheels/adctl-*.whl)[worker,postgres,s3]"
USER 1000:1000
HEALTHCHECK --interval=60s --timeout=20s --start-period=120s \
    CMD ["sh", "-c", "adctl worker list --json | grep -qwF $(hostname)"]
ENTRYPOINT ["adctl"]

FROM base AS mlflow
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    --mount=type=bind,source=constraints.txt,target=/constraints.txt \
    pip install -c /constraints.txt "$(echo /wheels/adctl-*.whl)[server]"
USER 1000:1000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/health', timeout=4)"]
ENTRYPOINT ["python", "-m", "ad_platform.tracking.server"]
