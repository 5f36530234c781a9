# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /srv/zion
COPY requirements-uv.lock requirements.lock ./
RUN python -m venv /opt/venv \
    && python -m pip install --require-hashes -r requirements-uv.lock \
    && uv pip install --no-cache --compile-bytecode --python /opt/venv/bin/python --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY data data
COPY research research
COPY live live
COPY app app
RUN uv pip install --no-cache --compile-bytecode --python /opt/venv/bin/python --no-build-isolation --no-deps .

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    NUMBA_CACHE_DIR=/opt/numba NUMBA_CPU_NAME=generic ZION_HOME=/var/lib/zion ZION_HOST=0.0.0.0 PORT=8000
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin zion \
    && install -d -o zion -g zion /opt/numba /var/lib/zion /srv/zion
COPY --from=build /opt/venv /opt/venv
WORKDIR /srv/zion
USER 10001
# Every kernel is compiled here, once, the live window's too: a running service never compiles.
# numba's cache is good for one CPU name only, and the service may run on another machine than the
# build: hence generic, above (same bytes, same speed).
RUN python -m live.market.warm
EXPOSE 8000
CMD ["python", "-m", "app.api.serve"]
