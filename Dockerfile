# docker build --build-arg COMMIT="$(git rev-parse --short=12 HEAD)" --tag REGISTRY/nas-flexconv:0.1 .
FROM python:3.11-slim

# KubeRay asks a node for its health with wget; `ray up` copies files with rsync.
RUN apt-get update && apt-get install --yes --no-install-recommends rsync wget && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/nas
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY search_spaces search_spaces
COPY trials trials
COPY nas nas
RUN pip install --no-cache-dir --constraint constraints.txt '.[s3,gs]'

# Beside the packages: records name it.
ARG COMMIT=""
RUN test -z "$COMMIT" || \
    printf %s "$COMMIT" > "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/COMMIT"

RUN useradd --create-home --uid 1000 nas
USER nas
WORKDIR /home/nas
