# The control environment, from the same lock as on a laptop. No torch, no engine, no compiler, no checkout.
ARG PYTHON=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b
FROM ${PYTHON} AS wheel
WORKDIR /src
COPY requirements-build.txt pyproject.toml hatch_build.py ./
COPY include include
COPY plugins plugins
RUN python -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement requirements-build.txt \
 && /opt/build/bin/hatchling build -t wheel -d /wheel

FROM ${PYTHON}
RUN apt-get update \
 && apt-get install --yes --no-install-recommends curl libpq5 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 50000 airflow \
 && install -d -o airflow /home/airflow/airflow /home/airflow/airflow/logs /home/airflow/store
COPY requirements.txt include/sparsebench/locks/uv.txt /tmp/
COPY --from=wheel /wheel /tmp/wheel
RUN python -m venv /opt/tools \
 && /opt/tools/bin/pip install --no-cache-dir --require-hashes --requirement /tmp/uv.txt \
 && /opt/tools/bin/uv pip sync --no-cache --system --compile-bytecode --require-hashes /tmp/requirements.txt \
 && /opt/tools/bin/uv pip install --no-cache --system --compile-bytecode --no-deps /tmp/wheel/*.whl
# Code belongs to root: the user that runs it cannot write it, nor the bytecode, without which each process compiles.
COPY dags /opt/sparsebench/dags
COPY plugins /opt/sparsebench/plugins
ENV PATH="/opt/tools/bin:$PATH" \
    AIRFLOW_HOME=/home/airflow/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/sparsebench/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/sparsebench/plugins
USER airflow
