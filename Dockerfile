# Two stages: the first has pip and the sources, the second has the finished environment and nothing else.
#
# The base is pinned by its exact version. To pin the bytes as well, build with a digest that was looked up:
#   docker build --build-arg PYTHON_IMAGE=python:3.13.14-slim-trixie@sha256:… .
ARG PYTHON_IMAGE=python:3.13.14-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
# Dependencies first: this layer stays cached until a requirement changes.
COPY requirements/ requirements/
RUN python -m venv /opt/routekeeper \
 && /opt/routekeeper/bin/pip install --only-binary :all: --require-hashes -r requirements/runtime.txt \
 && python -m pip install --only-binary :all: --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY domain/ domain/
COPY handlers/ handlers/
COPY projections/ projections/
COPY adapters/ adapters/
COPY service/ service/
# Nobody installs anything into the finished environment.
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /dist . \
 && /opt/routekeeper/bin/pip install --no-deps /dist/*.whl \
 && /opt/routekeeper/bin/pip uninstall --yes pip

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 --user-group --no-create-home --home-dir /nonexistent routekeeper
COPY --from=build /opt/routekeeper /opt/routekeeper
# A volume that is mounted here takes over whose it is.
RUN install --directory --owner=10001 --group=10001 /var/lib/routekeeper
# Nothing is written to the image at run time, so that it runs on a read-only root filesystem; only the embedded parts
# need the data folder.
ENV PATH=/opt/routekeeper/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ROUTEKEEPER_DATA_DIR=/var/lib/routekeeper
USER 10001:10001
EXPOSE 9464
ENTRYPOINT ["routekeeper"]
CMD ["worker"]
