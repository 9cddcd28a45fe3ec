# Keyturn's two images: the operator, and the Connect emulator of a trial. Each holds Python, its locked packages, and nothing else: no
# shell, no package manager.
#
#     docker build --tag keyturn:0.1.0 .
#     docker build --target emulator --tag keyturn-emulator:0.1.0 .
#
# docs/release.md says how a release is built. The base is only built in, not on: what of it is needed is copied.
ARG BASE=docker.io/library/python:3.13.14-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8

FROM ${BASE} AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /source
COPY requirements/build.lock requirements/
RUN python3 -m venv /build && /build/bin/pip install --no-compile --require-hashes --requirement requirements/build.lock
RUN python3 -m venv /app
COPY dev/image/assemble.py ./

FROM tools AS build-emulator
# If an SBOM is requested, it lists the base's packages, too: some of their libraries are copied.
ARG BUILDKIT_SBOM_SCAN_STAGE=true
COPY requirements/emulator.lock requirements/
RUN /app/bin/pip install --no-compile --require-hashes --only-binary :all: --requirement requirements/emulator.lock
COPY operator/connect_emulator operator/connect_emulator
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels operator/connect_emulator \
 && /app/bin/pip install --no-compile --no-deps --no-index /wheels/keyturn_emulator-*.whl
RUN python3 assemble.py /app /image

FROM tools AS build-operator
ARG BUILDKIT_SBOM_SCAN_STAGE=true
COPY requirements/image.lock requirements/
RUN /app/bin/pip install --no-compile --require-hashes --only-binary :all: --requirement requirements/image.lock
COPY pyproject.toml README.md LICENSE ./
COPY operator/keyturn operator/keyturn
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /app/bin/pip install --no-compile --no-deps --no-index /wheels/keyturn-*.whl
RUN python3 assemble.py /app /image

FROM scratch AS empty
ENV PATH=/app/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532

FROM empty AS emulator
COPY --from=build-emulator /image /
ENTRYPOINT ["connect-emulator"]

# The last stage is the one that is built if no target is named.
FROM empty AS operator
COPY --from=build-operator /image /
ENTRYPOINT ["keyturn"]
CMD ["operator"]
