# The service with its runtime dependencies and nothing else. Build: docker build -t advocacy-sync .
# Run:  docker run --env-file .env -p 127.0.0.1:8000:8000 -v advocacy:/data advocacy-sync

FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
# Every file is verified by its hash here; the install below may take from these files only.
COPY constraints.txt ./
RUN pip download --quiet --require-hashes --requirement constraints.txt --dest /wheels
COPY pyproject.toml README.md LICENSE ./
COPY alembic alembic
COPY mappings mappings
COPY connectors connectors
COPY app app
RUN python -m venv /opt/advocacy \
    && /opt/advocacy/bin/pip install --quiet --no-index --find-links /wheels --no-compile '.[postgres]' \
    && /opt/advocacy/bin/pip uninstall --quiet --yes pip \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/advocacy/lib

FROM python:3.13-slim
RUN useradd --system --user-group --uid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin advocacy \
    && install --directory --owner advocacy --group advocacy --mode 0750 /data
COPY --from=build /opt/advocacy /opt/advocacy
ENV PATH=/opt/advocacy/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ADVOCACY_DATABASE_URL=sqlite:////data/advocacy.db \
    ADVOCACY_LOG_FORMAT=json \
    ADVOCACY_WEB_HOST=0.0.0.0 \
    ADVOCACY_WEB_PORT=8000
# The working folder is the volume: put advocacy.toml or mappings/<crm>.yaml there to override what is shipped.
WORKDIR /data
VOLUME /data
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"ADVOCACY_WEB_PORT\"]}/healthz', timeout=4)"]
ENTRYPOINT ["advocacy"]
CMD ["serve"]
