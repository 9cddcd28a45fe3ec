# Keyturn, and the Connect emulator of its trial: Python, the locked packages, and nothing else. No shell, no package manager.
#
#     docker build --tag keyturn:0.1.0 .
#
# docs/release.md says how a release is built. The base is only built in, not on: what of it is needed is copied.
ARG BASE=docker.io/library/python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8

FROM ${BASE} AS build
# Where an SBOM is asked for, it lists the base's packages, too: some of their libraries are copied.
ARG BUILDKIT_SBOM_SCAN_STAGE=true
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
COPY requirements/build.lock requirements/image.lock requirements/
RUN python3 -m venv /build && /build/bin/pip install --no-compile --require-hashes --requirement requirements/build.lock
RUN python3 -m venv /app && /app/bin/pip install --no-compile --require-hashes --only-binary :all: --requirement requirements/image.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /app/bin/pip install --no-compile --no-deps --no-index /wheels/keyturn-*.whl
COPY dev/image/assemble.py ./
RUN python3 assemble.py /app /image

FROM scratch
COPY --from=build /image /
ENV PATH=/app/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["keyturn"]
CMD ["operator"]
