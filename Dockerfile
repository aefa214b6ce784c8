# Torchlurk in an image: docs/deploy.md says how to build and run it.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
# DEVICE is cpu or cuda. With cpu, TORCH_INDEX may name a package index that has PyTorch's smaller builds without CUDA.
ARG DEVICE=cpu
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/venv
COPY requirements.txt /build/
RUN case "${DEVICE}" in cpu|cuda) ;; *) echo "DEVICE is cpu or cuda, not ${DEVICE}" >&2; exit 2 ;; esac \
    && if [ "${DEVICE}" = cpu ] && [ -n "${TORCH_INDEX}" ]; then \
        grep -E '^torch(vision)?==' /build/requirements.txt > /build/torch.txt \
        && /opt/venv/bin/pip install --index-url "${TORCH_INDEX}" -r /build/torch.txt; \
    fi \
    && /opt/venv/bin/pip install -r /build/requirements.txt
COPY app.py LICENSE /app/
COPY assets /app/assets
COPY lurk /app/lurk
RUN /opt/venv/bin/python -m compileall -q /app/lurk \
    && install -d -m 0700 -o 10001 -g 10001 /data/cache /data/notes \
    && install -d -m 0755 /data/images

FROM ${BASE} AS run
ARG DEVICE=cpu
LABEL org.opencontainers.image.title="Torchlurk" \
      org.opencontainers.image.licenses="MIT"
# On a GPU Triton compiles the sweep's kernel as it first runs, for which it needs a C compiler.
# hadolint ignore=DL3008
RUN if [ "${DEVICE}" = cuda ]; then \
        apt-get update \
        && apt-get install -y --no-install-recommends gcc libc6-dev \
        && rm -rf /var/lib/apt/lists/*; \
    fi
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY --from=build --chown=10001:10001 /data /data
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    TORCH_HOME=/data/cache/torch \
    NUMBA_CACHE_DIR=/data/cache/numba \
    TRITON_CACHE_DIR=/data/cache/triton \
    LURK_DEVICE=${DEVICE} \
    LURK_CACHE=/data/cache \
    LURK_HOST=0.0.0.0 \
    LURK_PORT=8050 \
    LURK_AUTH=token \
    LURK_LOG=json \
    LURK_NO_BROWSER=1
WORKDIR /app
USER 10001:10001
VOLUME ["/data/cache", "/data/notes"]
EXPOSE 8050
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-m", "lurk.web.server.web_process", "http://127.0.0.1:8050/"]
CMD ["python", "app.py"]
